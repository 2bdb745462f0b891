"""One JSON document or line of text in any wrapping, to events.

Order: a native event; a native EventList; then parsed JSON by the wrappings in their order. Depth and total size of
what wrappings yield are limited, so that a document cannot grow without bound inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from detector import loose
from detector.errors import RejectedError
from detector.event import Event
from detector.formats import lenient, native
from detector.formats.batch import RECORD_LIMIT, SECONDHAND_LIMIT, TOO_LARGE, Batch, Rejected
from detector.formats.utf16 import whole
from detector.formats.wrappings import LINES, OBJECTS
from detector.formats.wrappings.base import Line, Part, Skip, Unreadable

MAX_WRAPPINGS = 8
"""Wrappings inside one another; real ones come in twos and threes."""

_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _List(msgspec.Struct):
    kind: str
    apiVersion: str  # noqa: N815 -- the API's name
    items: list[msgspec.Raw]


_list = msgspec.json.Decoder(_List).decode


def decode(raw: bytes) -> list[Event | Rejected]:
    """Decode one document in any wrapping; see `decode_batch`, which also counts what was skipped."""
    batch = decode_batch(raw)
    return [*batch.events, *batch.rejected]


def decode_batch(raw: bytes, limit: int = RECORD_LIMIT) -> Batch:
    """Decode one document: an event, an EventList, an array, or any wrapping of them. Never raises.

    :param raw: one JSON document or line of text.
    :param limit: bytes it may have.
    :returns: at least one event, rejected or skipped record; blank input counts as skipped.
    """
    batch = Batch()
    decode_into(batch, whole(raw), limit)
    return batch


def decode_into(batch: Batch, raw: bytes, limit: int = RECORD_LIMIT) -> None:
    """Decode one document as `decode_batch` does, adding to a batch."""
    batch.secondhand = 0
    document = raw.strip().removeprefix(b"\xef\xbb\xbf").lstrip()
    if not document:
        batch.skipped += 1
    elif len(document) > limit:
        batch.reject(TOO_LARGE, document)
    else:
        _document(batch, document, 0)


def decode_strictly(batch: Batch, raw: bytes) -> bool:
    """Decode a JSON object that is no ordinary event; False, with nothing added, when it is not strict JSON."""
    batch.secondhand = 0
    if _native_list(batch, raw, 0):
        return True
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    _value(batch, value, raw, 0)
    return True


def _document(batch: Batch, raw: bytes, depth: int) -> None:
    event = native.fast(raw)
    if event is not None:
        batch.events.append(event)
    elif depth > MAX_WRAPPINGS:
        batch.reject("too many wrappings inside one another", raw)
    elif raw[:1] not in (b"{", b"[", b'"'):
        _text(batch, raw, depth)
    elif not _native_list(batch, raw, depth):
        _parsed(batch, raw, depth)


def _native_list(batch: Batch, raw: bytes, depth: int) -> bool:
    """Take an EventList or an array item by item without parsing it as a whole: the webhook's hot path."""
    try:
        items = _raws(raw) if raw[:1] == b"[" else _list(raw)
    except native.UNREADABLE:
        return False
    if isinstance(items, _List):
        if items.kind != "EventList" or not items.apiVersion.startswith(native.GROUP):
            return False
        items = items.items
    before = len(batch.rejected)
    for item in items:
        # A copy, because a view would keep the whole document in memory as long as one of its events.
        _document(batch, bytes(item), depth + 1)
        batch.crowd(before)
    batch.skipped += not items
    return True


def _parsed(batch: Batch, raw: bytes, depth: int) -> None:
    try:
        value = loose.parse(raw)
    except RejectedError as error:
        if raw[:1] == b'"' and strip_line(raw) is not None:  # a row of CSV
            _text(batch, raw, depth)
        else:
            batch.reject(str(error.args[0]), raw, error.args[1])
        return
    _value(batch, value, raw, depth)


def _value(batch: Batch, value: Any, raw: bytes | None, depth: int) -> None:
    """Take parsed JSON; ``raw`` is its text where it exists."""
    if depth > MAX_WRAPPINGS:
        batch.reject("too many wrappings inside one another", _written(value, raw))
    elif isinstance(value, dict):
        _object(batch, value, raw, depth)
    elif isinstance(value, list):
        _parts(batch, value, depth + 1)
    elif isinstance(value, str) and value.strip():
        _secondhand(batch, value.encode("utf-8", "replace"), depth + 1)
    else:
        batch.reject(native.describe(value), _written(value, raw))


def _object(batch: Batch, value: dict[str, Any], raw: bytes | None, depth: int) -> None:
    event = native.event_of(value)
    if event is not None:
        batch.events.append(event)
        return
    for unwrap in OBJECTS:
        parts = unwrap(value)
        if parts is not None:
            _parts(batch, parts, depth + 1)
            return
    batch.reject(native.describe(value), _written(value, raw))


def _parts(batch: Batch, parts: Sequence[Part], depth: int) -> None:
    before = len(batch.rejected)
    for part in parts:
        _part(batch, part, depth)
        batch.crowd(before)
    batch.skipped += not parts


def _part(batch: Batch, part: Part, depth: int) -> None:
    if isinstance(part, Event):
        batch.events.append(part)
    elif isinstance(part, Skip):
        batch.skipped += 1
    elif isinstance(part, Unreadable):
        batch.reject(part.reason, b"")
    elif isinstance(part, bytes):
        _secondhand(batch, part, depth)
    else:
        _value(batch, part, None, depth)


def _secondhand(batch: Batch, raw: bytes, depth: int) -> None:
    """Take text that a wrapping carried. Firehose puts documents back to back, shippers add newlines."""
    batch.secondhand += len(raw)
    raw = raw.strip()
    if batch.secondhand > SECONDHAND_LIMIT:
        batch.reject("wrappings yield more than the size limit", raw)
    elif not raw:
        batch.skipped += 1
    else:
        _document(batch, raw, depth)


def _text(batch: Batch, raw: bytes, depth: int) -> None:
    line = strip_line(raw)
    if line is None:
        batch.reject("not JSON", raw, 0)
    elif line.partial:
        batch.reject("one part of a line that was split", raw)
    elif not line.payload.strip():
        batch.skipped += 1
    else:
        _document(batch, line.payload.strip(), depth + 1)


def strip_line(raw: bytes) -> Line | None:
    """Take the prefix of a log line away (CRI, syslog, host name, time); None when there is no payload to be found."""
    for strip in LINES:
        line = strip(raw)
        if line is not None:
            return line
    return None


def _written(value: Any, raw: bytes | None) -> bytes:
    """Give the text of a value for its digest, anew when it was parsed from a larger document."""
    return raw if raw is not None else bytes(lenient.body(value))
