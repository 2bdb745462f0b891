"""The native record: one ``audit.k8s.io`` Event as JSON (https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/).

`decode_event` takes the fast way when it can: one typed pass that leaves the two bodies as raw JSON. What that refuses
is read leniently attribute by attribute (`detector.formats.lenient`), so that an odd attribute cannot hide an event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from detector import loose
from detector.errors import RejectedError
from detector.event import Event
from detector.formats import lenient

GROUP = "audit.k8s.io/"
V1 = "audit.k8s.io/v1"
CODE_LIMIT = 1 << 31
"""``metav1.Status.code`` is an int32."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError)
"""What the typed decoder raises for a record it cannot take (`msgspec.ValidationError` is a `msgspec.DecodeError`)."""

_decoder = msgspec.json.Decoder(Event)
typed, typed_lines = _decoder.decode, _decoder.decode_lines


def is_event(event: Event) -> bool:
    """Tell whether a decoded record is an audit event.

    Items of a webhook's EventList carry neither kind nor apiVersion, so these count only when present. Without an
    apiVersion of ours a record needs a verb (it may be empty: the API server writes ``""`` for an unknown HTTP method)
    and a stage or an audit ID; no other Kubernetes object and no log line has these together.
    """
    if event.kind is not None and event.kind != "Event":
        return False
    if event.apiVersion is not None:
        return event.apiVersion.startswith(GROUP) and bool(event.auditID or event.stage or event.verb)
    return event.verb is not None and bool(event.stage or event.auditID)


def usable(event: Event) -> bool:
    """Tell whether the fast way may be trusted: an audit event with an ordinary status code."""
    status = event.responseStatus
    return is_event(event) and (status is None or status.code is None or -CODE_LIMIT <= status.code < CODE_LIMIT)


def all_usable(events: Iterable[Event]) -> bool:
    """Tell whether all of these are `usable`, looking first whether they are as an API server writes them."""
    for event in events:
        if event.verb and event.apiVersion == V1 and event.kind == "Event":
            status = event.responseStatus
            if status is None or (code := status.code) is None or -CODE_LIMIT <= code < CODE_LIMIT:
                continue
        if not usable(event):
            return False
    return True


def clean(raw: bytes) -> bool:
    """Tell whether a record is valid UTF-8 throughout: the bodies of a typed event are not looked at otherwise."""
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def fast(raw: bytes) -> Event | None:
    """Decode one event the fast way; None when that cannot be done or it is something else."""
    try:
        event = typed(raw)
    except UNREADABLE:
        return None
    return event if usable(event) and clean(raw) else None


def decode_event(raw: bytes) -> Event:
    """Decode one audit event (bytes of one JSON object, no wrapping).

    :raises RejectedError: it is no audit event; the reason says what it looks like.
    """
    event = fast(raw)
    if event is not None:
        return event
    event = event_of(loose.parse(raw))
    if event is None:
        raise RejectedError(describe(loose.parse(raw)))
    return event


def event_of(value: Any) -> Event | None:
    """Make an event of parsed JSON; None when it is no audit event."""
    if not isinstance(value, dict) or not ("verb" in value or "apiVersion" in value):
        return None
    event = lenient.coerce(value)
    return event if is_event(event) else None


def describe(value: Any) -> str:
    """Say what a JSON value looks like, quoting nothing of it."""
    if not isinstance(value, dict):
        return f"not an audit event: JSON {_TYPES.get(type(value), 'value')}"
    for keys, name in _SHAPES:
        if keys <= value.keys():
            return f"not an audit event: {name}"
    version = value.get("apiVersion")
    if isinstance(version, str):
        return f"not an audit event: {_object_kind(version, value.get('kind'))}"
    return "not an audit event: JSON object of an unknown shape"


_TYPES: dict[type, str] = {list: "array", str: "string", int: "number", float: "number", bool: "boolean"}

_SHAPES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"requestTimestamp", "method", "requestURI"}), "it looks like Rancher's own API audit log"),
    (frozenset({"involvedObject", "reason"}), "it looks like a core/v1 Event (kubectl get events)"),
    (frozenset({"regarding", "reason"}), "it looks like an events.k8s.io Event"),
    (frozenset({"eventSource", "eventName", "awsRegion"}), "it looks like an AWS CloudTrail record"),
    (frozenset({"rules", "omitStages"}), "it looks like an audit policy"),
)


def _object_kind(version: str, kind: Any) -> str:
    if version.startswith(GROUP):
        return "an audit.k8s.io object without verb, stage and auditID"
    if kind == "Event":
        return "it looks like a Kubernetes Event of another API group (kubectl get events)"
    return "it looks like another Kubernetes object"
