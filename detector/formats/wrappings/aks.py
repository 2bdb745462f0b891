"""Azure Kubernetes Service: diagnostic logs, and the tables of Log Analytics.

* Event Hub, storage (one record a line), partners:
  ``{"records":[{"category":"kube-audit","properties":{"log":"{…}"}}]}``, where ``properties.log`` is text. Categories
  other than ``kube-audit`` and ``kube-audit-admin`` are skipped. Elastic keeps a record under ``azure.platformlogs``.
* Tables ``AKSAudit`` and ``AKSAuditAdmin``: PascalCase columns; a large object is the text
  ``skipped-too-big-size-object`` (https://learn.microsoft.com/en-us/azure/azure-monitor/reference/tables/aksaudit).
  Table ``AzureDiagnostics``: ``{"Category":"kube-audit","log_s":"{…}"}``. The query API gives rows as lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector import loose
from detector.errors import RejectedError
from detector.formats import lenient
from detector.formats.wrappings.base import SKIP, Example, Part, Unreadable, Wrapping, items

CATEGORIES = frozenset({"kube-audit", "kube-audit-admin"})
TOO_BIG = "skipped-too-big-size-object"

COLUMNS = {
    "Level": "level",
    "AuditId": "auditID",
    "Stage": "stage",
    "RequestUri": "requestURI",
    "Verb": "verb",
    "User": "user",
    "ImpersonatedUser": "impersonatedUser",
    "SourceIps": "sourceIPs",
    "UserAgent": "userAgent",
    "ObjectRef": "objectRef",
    "ResponseStatus": "responseStatus",
    "RequestObject": "requestObject",
    "ResponseObject": "responseObject",
    "RequestReceivedTime": "requestReceivedTimestamp",
    "StageReceivedTime": "stageTimestamp",
    "Annotations": "annotations",
}
"""Column of ``AKSAudit`` to attribute of the event."""


def unwrap(value: Mapping[str, Any]) -> list[Part] | None:
    """Give the records of a diagnostic export, the event of one record, or of one row of a table."""
    if "records" in value:
        return items(value["records"])
    category, properties = value.get("category"), value.get("properties")
    if isinstance(category, str) and isinstance(properties, dict):
        return [_log(category, properties)]
    if "AuditId" in value and "RequestUri" in value:
        return [_row(value)]
    if isinstance(category := value.get("Category"), str) and "log_s" in value:
        return [_log(category, {"log": value["log_s"]})]
    if isinstance(tables := value.get("tables"), list):
        return [row for table in tables for row in _rows(table)]
    azure = value.get("azure")
    record = azure.get("platformlogs") if isinstance(azure, dict) else None
    return [record] if isinstance(record, dict) else None


def _rows(table: Any) -> list[Part]:
    """Give the rows of a table of the query API as objects (``{"columns":[{"name":…}],"rows":[[…]]}``)."""
    columns, rows = (table.get("columns"), table.get("rows")) if isinstance(table, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(rows, list):
        return [Unreadable("a table without columns and rows")]
    names = [lenient.text(column.get("name")) or "" if isinstance(column, dict) else "" for column in columns]
    return [dict(zip(names, row, strict=False)) if isinstance(row, list) else row for row in rows]


def _log(category: str, properties: Mapping[str, Any]) -> Part:
    if category not in CATEGORIES:
        return SKIP
    log: Part = properties.get("log")
    return log if log else Unreadable("an AKS audit record without properties.log")


def _row(value: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: _cell(value[column]) for column, name in COLUMNS.items() if column in value}
    return {"kind": "Event", "apiVersion": "audit.k8s.io/v1"} | row


def _cell(cell: Any) -> Any:
    """Read a column: dynamic ones arrive as JSON or as its text, depending on the way of export."""
    if cell in (TOO_BIG, ""):
        return None
    if isinstance(cell, str) and cell[:1] in ("{", "["):
        try:
            return loose.parse(cell.encode("utf-8", "replace"))
        except RejectedError:
            return cell
    return cell


_EVENT = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"}'
_TEXT = b'"' + _EVENT.replace(b'"', b'\\"') + b'"'
_RECORD = (
    b'{"category":"%b","operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",'
    b'"properties":{"log":%b,"stream":"stdout","pod":"kube-apiserver-1"},'
    b'"resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD",'
    b'"time":"2026-03-02T09:00:00Z"}'
)

WRAPPING = Wrapping(
    name="aks",
    order=40,
    unwrap=unwrap,
    examples=(
        Example(
            b'{"records":[%b,%b]}' % (_RECORD % (b"kube-audit", _TEXT), _RECORD % (b"guard", b'"x"')), 1, skipped=1
        ),
        Example(_RECORD % (b"kube-audit-admin", _TEXT), 1),
        Example(b'{"azure":{"platformlogs":{"category":"kube-audit","properties":{"log":%b}}}}' % _EVENT, 1),
        Example(b'{"TenantId":"t","Category":"kube-audit","log_s":%b}' % _TEXT, 1),
        Example(b'{"Category":"kube-scheduler","log_s":"I0302 09:00:00 scheduled"}', 0, skipped=1),
        Example(
            b'{"tables":[{"name":"PrimaryResult","columns":[{"name":"AuditId"},{"name":"Verb"},{"name":"RequestUri"}],'
            b'"rows":[["a1","get","/api"],["a2","list","/api"]]}]}',
            2,
        ),
        Example(
            b'{"TimeGenerated":"2026-03-02T09:00:00Z","AuditId":"a1","Stage":"ResponseComplete","Verb":"create",'
            b'"RequestUri":"/api/v1/namespaces/prod/pods","User":"{\\"username\\":\\"bob\\"}","SourceIps":["10.1.2.3"],'
            b'"ObjectRef":{"resource":"pods","namespace":"prod"},"ResponseStatus":{"code":201},'
            b'"RequestObject":"skipped-too-big-size-object","RequestReceivedTime":"2026-03-02T09:00:00Z"}',
            1,
        ),
    ),
)
