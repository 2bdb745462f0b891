"""Google Kubernetes Engine: Cloud Logging ``LogEntry`` with a ``google.cloud.audit.AuditLog``.

Arrives one a line (storage sinks), as an array (``gcloud logging read --format=json``), as ``{"entries":[…]}``, inside
a Pub/Sub push ``{"message":{"data":"<base64>"}}``, or as a row of BigQuery, where the payload is called
``protopayload_auditlog`` and has its bodies as text in ``requestJson`` and ``responseJson``
(https://cloud.google.com/logging/docs/export/bigquery). Google keeps neither groups nor the query string, and a gRPC
status instead of the HTTP one (https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from detector import loose
from detector.errors import RejectedError
from detector.event import Event, ObjectRef, ResponseStatus, UserInfo
from detector.formats import lenient
from detector.formats.wrappings.base import SKIP, Example, Part, Wrapping, base64_part, items

SERVICE = "k8s.io"
DECISION = "authorization.k8s.io/decision"
_PERMISSION_DENIED = 7

HTTP_CODES = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400}
HTTP_CODES |= {12: 501, 13: 500, 14: 503, 15: 500, 16: 401}
"""gRPC status to HTTP (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto)."""

REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict"}

_GROUP, _VERSION, _SCOPE, _NAMESPACE = range(4)


def unwrap(value: Mapping[str, Any]) -> list[Part] | None:
    """Give the event of a log entry, the entries of a list, or what a Pub/Sub message carries."""
    if isinstance(payload := value.get("protoPayload", value.get("protopayload_auditlog")), dict):
        return [_event(value, payload) if payload.get("serviceName", SERVICE) == SERVICE else SKIP]
    if "logName" in value and "resource" in value:
        inner: Part = value.get("jsonPayload", value.get("textPayload", SKIP))
        return [inner]
    if isinstance(message := value.get("message"), dict) and "data" in message:
        return [base64_part(message["data"])]
    return items(value["entries"]) if isinstance(value.get("entries"), list) else None


def _event(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> Event:
    method = lenient.text(payload.get("methodName")) or ""
    name = lenient.text(payload.get("resourceName")) or ""
    verb = method.rpartition(".")[2]
    who, client = _dict(payload.get("authenticationInfo")), _dict(payload.get("requestMetadata"))
    address = lenient.text(client.get("callerIp"))
    annotations = _annotations(lenient.strings(entry.get("labels")) or {}, payload)
    times = (lenient.text(entry.get(name)) for name in ("timestamp", "receiveTimestamp"))
    time = next((each.removesuffix(" UTC") for each in times if each), None)
    request, response = _body(payload, "request"), _body(payload, "response")
    return Event(
        kind="Event",
        apiVersion="audit.k8s.io/v1",
        level="RequestResponse" if memoryview(request) or memoryview(response) else "Metadata",
        auditID=lenient.text(_dict(entry.get("operation")).get("id")) or lenient.text(entry.get("insertId")),
        stage="ResponseComplete",
        requestURI=_uri(name),
        verb=verb,
        user=UserInfo(username=_name(who)),
        sourceIPs=[address] if address else None,
        userAgent=lenient.text(client.get("callerSuppliedUserAgent")),
        objectRef=_object(name),
        responseStatus=_status(_dict(payload.get("status")), verb, annotations.get(DECISION) == "forbid"),
        requestObject=request,
        responseObject=response,
        requestReceivedTimestamp=time,
        stageTimestamp=time,
        annotations=annotations or None,
    )


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _body(payload: Mapping[str, Any], name: str) -> msgspec.Raw:
    if isinstance(written := payload.get(f"{name}Json"), str):
        try:
            return lenient.body(loose.parse(written.encode("utf-8", "replace")))
        except RejectedError:
            return lenient.body(written)
    return lenient.body(payload[name]) if name in payload else lenient.NOTHING


def _name(who: Mapping[str, Any]) -> str | None:
    names = (who.get("principalEmail"), who.get("principalSubject"), who.get("authoritySelector"))
    return next((name for name in map(lenient.text, names) if name), None)


def _annotations(labels: dict[str, str], payload: Mapping[str, Any]) -> dict[str, str]:
    """Take the entry's labels; the decision from ``authorizationInfo`` where they have none."""
    grants = payload.get("authorizationInfo")
    if DECISION not in labels and isinstance(grants, list) and grants:
        granted = all(_dict(grant).get("granted") is True for grant in grants)
        labels = labels | {DECISION: "allow" if granted else "forbid"}
    return labels


def _status(status: Mapping[str, Any], verb: str, denied: bool) -> ResponseStatus:
    number = lenient.code(status.get("code")) or (_PERMISSION_DENIED if denied else 0)
    if number == 0:
        return ResponseStatus(code=201 if verb == "create" else 200)
    code = HTTP_CODES.get(number, 500)
    message = lenient.text(status.get("message"))
    return ResponseStatus(code=code, status="Failure", reason=REASONS.get(code), message=message)


def _uri(name: str) -> str | None:
    """Write the path that was asked for: ``core/v1/…`` is below ``/api``, other groups below ``/apis``."""
    if not name:
        return None
    group, slash, rest = name.partition("/")
    if not slash:
        return f"/{name}"
    return f"/api/{rest}" if group == "core" else f"/apis/{group}/{rest}"


def _object(name: str) -> ObjectRef | None:
    """Read ``group/version[/namespaces/NAMESPACE]/resource[/name[/subresource]]``.

    ``core/v1/namespaces/prod`` is the namespace itself, and so is ``core/v1/namespaces/prod/finalize``.
    """
    parts = name.split("/")
    if len(parts) <= _SCOPE:
        return None
    group = "" if parts[_GROUP] == "core" else parts[_GROUP]
    own = parts[_SCOPE] == "namespaces" and (len(parts) <= _NAMESPACE + 1 or parts[_NAMESPACE + 1] in _OF_NAMESPACES)
    namespaced = parts[_SCOPE] == "namespaces" and not own
    rest = [*parts[_NAMESPACE + 1 if namespaced else _SCOPE :], "", ""]
    return ObjectRef(
        resource=rest[0] or None,
        namespace=parts[_NAMESPACE] if namespaced else ((rest[1] or None) if own else None),
        name=rest[1] or None,
        apiGroup=group or None,
        apiVersion=parts[_VERSION],
        subresource="/".join(rest[2:]).strip("/") or None,
    )


_OF_NAMESPACES = frozenset({"finalize", "status"})
"""Subresources of a namespace: what else follows its name is a resource inside it."""

_ENTRY = (
    b'{"insertId":"9dchq8","labels":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""},'
    b'"logName":"projects/demo/logs/cloudaudit.googleapis.com%%2Factivity","operation":{"id":"op-1","first":true},'
    b'"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"%b",'
    b'"authenticationInfo":{"principalEmail":"alice@example.com"},"methodName":"io.k8s.core.v1.pods.create",'
    b'"requestMetadata":{"callerIp":"198.51.100.23","callerSuppliedUserAgent":"kubectl/v1.31.2"},'
    b'"resourceName":"core/v1/namespaces/default/pods/debug","request":{"spec":{}},"status":{"code":%d}},'
    b'"resource":{"type":"k8s_cluster","labels":{"cluster_name":"prod"}},"timestamp":"2026-03-02T09:00:00Z"}'
)
_CREATED = _ENTRY % (b"k8s.io", 0)

WRAPPING = Wrapping(
    name="gke",
    order=50,
    unwrap=unwrap,
    examples=(
        Example(_CREATED, 1),
        Example(b"[%b,%b]" % (_CREATED, _ENTRY % (b"k8s.io", 7)), 2),
        Example(_ENTRY % (b"container.googleapis.com", 0), 0, skipped=1),
        Example(b'{"entries":[%b]}' % _CREATED, 1),
        Example(
            b'{"logName":"projects/demo/logs/cloudaudit_googleapis_com_activity","resource":{"type":"k8s_cluster"},'
            b'"protopayload_auditlog":{"serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.create",'
            b'"resourceName":"core/v1/namespaces/default/pods/debug","requestJson":"{\\"spec\\":{}}"},'
            b'"timestamp":"2026-03-02 09:00:00 UTC"}',
            1,
        ),
        Example(b'{"message":{"data":"eyJ2ZXJiIjoiZ2V0Iiwic3RhZ2UiOiJQYW5pYyJ9","messageId":"1"}}', 1),
    ),
)
