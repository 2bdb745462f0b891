"""What stands in the journal: batches, ticks and controls, to entries and back to records."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from detector.event import Event
from detector.formats import Batch, decode_batch
from detector.record import Control, Record, Tick
from detector.store.entry import Entry, Kind
from detector.store.reader import JournalReader

_HEAD, _TAIL = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":', b"}"
_encode = msgspec.json.Encoder().encode
_control = msgspec.json.Decoder(Control).decode


def batch_body(events: list[Event]) -> bytes:
    """Write events as an ``audit.k8s.io/v1`` EventList, what no rule can ask for left out."""
    return b"".join((_HEAD, _encode(events), _TAIL))


def control_body(control: Control) -> bytes:
    """Write a control."""
    return _encode(control)


def record_of(entry: Entry) -> Record:
    """Read an entry of the journal. A control that this version does not know counts as a rejected record."""
    return Record(entry.offset, _body(entry), entry.received_at, entry.cluster)


def _body(entry: Entry) -> Batch | Tick | Control:
    if entry.kind == Kind.batch:
        return decode_batch(entry.body)
    return Tick(entry.received_at) if entry.kind == Kind.tick else _control_of(entry.body)


def _control_of(body: bytes) -> Batch | Control:
    try:
        control: Control = _control(body)
        return control
    except msgspec.DecodeError:
        unknown = Batch()
        unknown.reject("a control of an unknown version", body)
        return unknown


def records(reader: JournalReader, offset: int = -1) -> Iterator[Record]:
    """Give everything in the journal after an offset, in order."""
    while entries := reader.after(offset):
        yield from map(record_of, entries)
        offset = entries[-1].offset
