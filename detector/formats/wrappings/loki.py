"""Grafana Loki: push bodies and query results, ``{"streams":[{"stream":{…},"values":[["<ns>","{…}"]]}]}``.

A query answers ``{"status":"success","data":{"resultType":"streams","result":[…]}}`` with the same streams
(https://grafana.com/docs/loki/latest/reference/loki-http-api/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.formats.wrappings.base import SKIP, Example, Part, Unreadable, Wrapping

_ENTRY = 2


def unwrap(value: Mapping[str, Any]) -> list[Part] | None:
    """Give the lines of all streams."""
    streams = value.get("streams")
    data = value.get("data")
    if not isinstance(streams, list) and isinstance(data, dict) and data.get("resultType") == "streams":
        streams = data.get("result")
    if not isinstance(streams, list):
        return None
    return [line for stream in streams for line in _lines(stream)] or [SKIP]


def _lines(stream: Any) -> list[Part]:
    values = stream.get("values") if isinstance(stream, dict) else None
    if not isinstance(values, list):
        return [Unreadable("a Loki stream without values")]
    return [_line(entry) for entry in values]


def _line(entry: Any) -> Part:
    if isinstance(entry, list) and len(entry) >= _ENTRY and isinstance(entry[1], str):
        return entry[1]
    return Unreadable("a Loki entry that is not [time, line]")


_EVENT = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"}'
_TEXT = b'"' + _EVENT.replace(b'"', b'\\"') + b'"'
_STREAM = b'{"stream":{"job":"audit"},"values":[["1772442000000000000",%b],["1772442000000000001",%b]]}' % (
    _TEXT,
    _TEXT,
)

WRAPPING = Wrapping(
    name="loki",
    order=30,
    unwrap=unwrap,
    examples=(
        Example(b'{"streams":[%b]}' % _STREAM, 2),
        Example(b'{"status":"success","data":{"resultType":"streams","result":[%b]}}' % _STREAM, 2),
    ),
)
