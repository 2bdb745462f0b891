"""Amazon EKS control plane logs as CloudWatch Logs hands them out.

* subscription: ``{"messageType":"DATA_MESSAGE","logGroup":…,"logStream":…,"logEvents":[{"message":"{…}"}]}``, gzipped;
  ``CONTROL_MESSAGE`` is a health check
* Lambda: ``{"awslogs":{"data":"<base64 gzip>"}}`` · Kinesis: ``{"Records":[{"kinesis":{"data":"<base64 gzip>"}}]}``
  · Firehose to HTTP or Lambda: ``{"requestId":…,"records":[{"data":"<base64 gzip>"}]}``
* ``filter-log-events``: ``{"events":[{"logStreamName":…,"message":"{…}"}]}``
* Logs Insights: ``{"results":[[{"field":"@message","value":"{…}"}]]}``

The same log group holds streams of other components (authenticator, scheduler, …), which are skipped. CloudWatch cuts
entries at 256 KB; the rest of such an event is gone.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

from detector.formats.wrappings.base import SKIP, Example, Part, Unreadable, Wrapping, base64_part, items

CLUSTER_GROUP = "/aws/eks/"


def unwrap(value: Mapping[str, Any]) -> list[Part] | None:
    """Give the messages of any of the shapes."""
    if value.get("messageType") == "CONTROL_MESSAGE":
        return [SKIP]
    if "logEvents" in value:
        stream = value.get("logStream") if str(value.get("logGroup")).startswith(CLUSTER_GROUP) else None
        return [_message(item, stream) for item in items(value["logEvents"])]
    if isinstance(lambda_event := value.get("awslogs"), dict):
        return [base64_part(lambda_event.get("data"))]
    if "Records" in value:
        return [_record(item) for item in items(value["Records"])]
    if "records" in value and ("requestId" in value or "deliveryStreamArn" in value):
        return [_record(item) for item in items(value["records"])]
    return _exported(value)


def _exported(value: Mapping[str, Any]) -> list[Part] | None:
    if isinstance(events := value.get("events"), list):
        return [_message(item, None) for item in events]
    if isinstance(rows := value.get("results"), list):
        return [_row(row) for row in rows]
    return None


def _message(item: Part, stream: Any) -> Part:
    if not isinstance(item, dict) or not isinstance(message := item.get("message"), str):
        return item
    name = stream or item.get("logStreamName")
    foreign = isinstance(name, str) and name.startswith(OTHER_STREAMS)
    return SKIP if foreign else message


OTHER_STREAMS = (
    "authenticator-",
    "cloud-controller-manager-",
    "kube-controller-manager-",
    "kube-scheduler-",
)


def _record(item: Part) -> Part:
    if not isinstance(item, dict):
        return item
    kinesis = item.get("kinesis", item)
    return base64_part(kinesis["data"]) if isinstance(kinesis, dict) and "data" in kinesis else item


def _row(row: Any) -> Part:
    for cell in row if isinstance(row, list) else ():
        if isinstance(cell, dict) and cell.get("field") == "@message":
            value: Part = cell.get("value")
            return value
    return Unreadable("a Logs Insights row without @message; add it to the query")


_EVENT = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"}'
_TEXT = b'"' + _EVENT.replace(b'"', b'\\"') + b'"'
_DATA = (
    b'{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/eks/prod/cluster","logStream":"%b",'
    b'"subscriptionFilters":["all"],"logEvents":[{"id":"1","timestamp":1772442000000,"message":%b}]}'
)
_AUDIT = _DATA % (b"kube-apiserver-audit-0a1b", _TEXT)
_BASE64 = base64.b64encode(gzip.compress(_AUDIT, mtime=0))

WRAPPING = Wrapping(
    name="cloudwatch",
    order=20,
    unwrap=unwrap,
    examples=(
        Example(_AUDIT, 1),
        Example(_DATA % (b"kube-scheduler-0a1b", b'"I0302 09:00:00 scheduled"'), 0, skipped=1),
        Example(
            b'{"messageType":"CONTROL_MESSAGE","logGroup":"","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}',
            0,
            skipped=1,
        ),
        Example(b'{"awslogs":{"data":"%b"}}' % _BASE64, 1),
        Example(b'{"Records":[{"kinesis":{"data":"%b"},"eventSource":"aws:kinesis"}]}' % _BASE64, 1),
        Example(b'{"requestId":"r1","timestamp":1772442000000,"records":[{"data":"%b"}]}' % _BASE64, 1),
        Example(b'{"events":[{"logStreamName":"kube-apiserver-audit-0a1b","timestamp":1,"message":%b}]}' % _TEXT, 1),
        Example(b'{"results":[[{"field":"@timestamp","value":"x"},{"field":"@message","value":%b}]]}' % _TEXT, 1),
        Example(_DATA % (b"kube-apiserver-audit-0a1b", _TEXT[:60] + b'[Truncated...]"'), 0, rejected=1),
    ),
)
