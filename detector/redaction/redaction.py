"""Redaction: blanks the secrets of events, most of which have none.

All that clients have a say in is written down once more and searched in one go, bodies as they are. Only where that
finds something an event is taken apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import msgspec

from detector.event import Event
from detector.redaction.carriers import RESOURCES, blank_raw
from detector.redaction.paths import BODIES, Paths
from detector.redaction.tokens import URI, found, scrub, suspect_body

_NO_BODY = Event().requestObject
_write = msgspec.msgpack.Encoder().encode_into


class Redaction:
    """What is blanked in events: known carriers, tokens, and ``paths`` (see `detector.redaction.paths`).

    Raises ValueError for a path that cannot be. What becomes of an event depends on the event and the paths only.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self._paths = Paths(paths) if paths else None

    def blank(self, events: list[Event]) -> None:
        """Blank the secrets of events in place."""
        for event in _with_tokens(events):
            _scrub_attributes(event)
        for event in events:
            if event.requestObject is not _NO_BODY or event.responseObject is not _NO_BODY:
                ref = event.objectRef
                _blank_bodies(event, ref is None or ref.resource is None or ref.resource in RESOURCES)
        if self._paths is not None:
            for event in events:
                self._paths.blank(event)


def _with_tokens(events: list[Event]) -> list[Event]:
    """Give the events that may have a token outside of their bodies: all are written, and searched in one go.

    What is looked at is where clients have a say; the rest comes from the API server.
    """
    # MessagePack writes texts as they are; JSON would have to look at every letter.
    written, ends = bytearray(), list[int]()
    for one in events:
        parts = (
            one.requestURI,
            one.userAgent,
            one.user,
            one.annotations,
            one.objectRef,
            one.responseStatus,
            one.auditID,
            one.verb,
            one.sourceIPs,
            one.impersonatedUser,
        )
        _write(parts, written, -1)
        ends.append(len(written))
    numbers = {bisect_right(ends, at): None for at in found(memoryview(written))}
    return [events[number] for number in numbers]


def _blank_bodies(event: Event, carrier: bool) -> None:
    for attribute in BODIES:
        raw = getattr(event, attribute)
        if raw is not _NO_BODY and (body := memoryview(raw)) and (carrier or suspect_body(body)):
            setattr(event, attribute, blank_raw(raw, carrier))


def _scrub_attributes(one: msgspec.Struct) -> None:
    """Blank the tokens in all texts of an event, or of a part of one."""
    for name in one.__struct_fields__:
        value = getattr(one, name)
        if isinstance(value, msgspec.Struct):
            _scrub_attributes(value)
        elif value and not isinstance(value, msgspec.Raw):
            setattr(one, name, scrub(value, URI) if name == "requestURI" else _scrubbed(value))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(key): _scrubbed(item) for key, item in value.items()}
    return [scrub(item) for item in value] if isinstance(value, list) else value


def blank(event: Event) -> Event:
    """Blank the secrets of one event in place and give it back; paths of settings are not known here."""
    Redaction().blank([event])
    return event
