"""Log shippers and brokers that put the event, as an object or as JSON text, under a key of their own.

| who | shape |
|---|---|
| fluent-bit, docker | ``{"log":"{…}\\n","stream":"stdout"}`` |
| fluentd, Vector, Beats, CloudWatch ``logEvents[]`` | ``{"message":"{…}"}`` |
| Splunk HEC | ``{"time":…,"event":{…}}`` |
| CloudEvents | ``{"specversion":"1.0","data":{…}}`` or ``data_base64`` |
| Kafka Connect | ``{"schema":…,"payload":"{…}"}`` |
| Elastic ``kubernetes.audit`` | the event with its dots in annotation names as ``_`` |
| Splunk and Elasticsearch exports | ``{"result":{"_raw":"{…}"}}``, ``{"hits":{"hits":[{"_source":{…}}]}}`` |
| Datadog, where the pipeline keeps the source's attributes | ``{"attributes":{…}}`` |
| Log Analytics | ``{"log_s":"{…}"}`` |

A shipper may give the event twice, as text and as an object: the first key of `KEYS` that holds one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.formats.wrappings.base import Example, Part, Wrapping, base64_part

KEYS = (
    "log",
    "message",
    "@message",
    "event",
    "data",
    "payload",
    "log_s",
    "_raw",
    "result",
    "_source",
    "value",
    "hits",
    "attributes",
)


def unwrap(value: Mapping[str, Any]) -> list[Part] | None:
    """Give what the first known key holds."""
    audit = _elastic(value)
    if audit is not None:
        return [audit]
    for key in KEYS:
        inner = value.get(key)
        if _promising(inner):
            return [inner]
    if "specversion" in value and "data_base64" in value:
        return [base64_part(value["data_base64"])]
    return None


def _promising(inner: Any) -> bool:
    return bool(inner) and (isinstance(inner, dict | list) or (isinstance(inner, str) and "{" in inner))


def _elastic(value: Mapping[str, Any]) -> dict[str, Any] | None:
    kubernetes = value.get("kubernetes")
    audit = kubernetes.get("audit") if isinstance(kubernetes, dict) else value.get("kubernetes.audit")
    if not isinstance(audit, dict):
        return None
    names = audit.get("annotations")
    if not isinstance(names, dict):
        return audit
    return audit | {"annotations": {_dotted(name): text for name, text in names.items()}}


def _dotted(name: str) -> str:
    """Undo ``authorization_k8s_io/decision``: a dot is never an underscore in a DNS name."""
    domain, slash, rest = name.partition("/")
    return domain.replace("_", ".") + slash + rest


_EVENT = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"}'
_TEXT = b'"' + _EVENT.replace(b'"', b'\\"') + b'\\n"'

WRAPPING = Wrapping(
    name="shippers",
    order=80,
    unwrap=unwrap,
    examples=(
        Example(b'{"log":%b,"stream":"stdout","kubernetes":{"host":"cp-1"}}' % _TEXT, 1),
        Example(b'{"log":%b,"parsed":%b}' % (_TEXT, _EVENT), 1),
        Example(b'{"message":%b,"host":"cp-1"}' % _TEXT, 1),
        Example(b'{"time":1772442000,"sourcetype":"kube:audit","event":%b}' % _EVENT, 1),
        Example(b'{"specversion":"1.0","id":"1","source":"x","type":"y","data":%b}' % _EVENT, 1),
        Example(b'{"schema":{"type":"string"},"payload":%b}' % _TEXT, 1),
        Example(b'{"preview":false,"result":{"_raw":%b}}' % _TEXT, 1),
        Example(b'{"_index":"audit","_source":%b}' % _EVENT, 1),
        Example(b'{"took":1,"hits":{"total":2,"hits":[{"_source":%b},{"_source":%b}]}}' % (_EVENT, _EVENT), 2),
        Example(b'{"_id":"1","source":"kubernetes.audit","message":"","attributes":%b}' % _EVENT, 1),
        Example(b'{"log_s":%b}' % _TEXT, 1),
        Example(
            b'{"kubernetes":{"audit":{"auditID":"a1","stage":"ResponseComplete","verb":"get",'
            b'"annotations":{"authorization_k8s_io/decision":"allow"}}}}',
            1,
        ),
        Example(b'{"log":"I0302 09:00:00 started\\n","stream":"stderr"}', 0, rejected=1),
    ),
)
