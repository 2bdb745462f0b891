"""What stands in the journal: batches, ticks and controls, to entries and back to records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from detector.errors import StoreError
from detector.event import Event
from detector.fold import Fold
from detector.formats import RECORD_LIMIT, Batch, decode_batch
from detector.formats.native import GROUP, UNREADABLE, clean, usable
from detector.record import Control, Record, Tick
from detector.store.directory import Layout
from detector.store.entry import Entry, Kind
from detector.store.reader import JournalReader
from detector.store.restoring import refuse_unfinished
from detector.store.snapshots import Snapshots

_HEAD, _TAIL = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":', b"}"
_encode = msgspec.json.Encoder().encode
_control = msgspec.json.Decoder(Control).decode


class _EventList(msgspec.Struct):
    kind: str
    apiVersion: str  # noqa: N815 -- the API's name
    items: list[Event]


_event_list = msgspec.json.Decoder(_EventList).decode


def decode_body(body: bytes) -> Batch:
    """Decode what a webhook gets and a journal keeps, as `decode_batch` would: an ordinary EventList in one pass.

    Its events are views of the body, which stays in memory as long as one of them does.
    """
    try:
        found = _event_list(body)
    except UNREADABLE:
        return decode_batch(body)
    return Batch(found.items) if _ordinary(found) and clean(body) and len(body) <= RECORD_LIMIT else decode_batch(body)


def _ordinary(found: _EventList) -> bool:
    """Tell whether nothing about an EventList is odd; what is needs a closer look, item by item."""
    ours = found.kind == "EventList" and found.apiVersion.startswith(GROUP)
    return ours and bool(found.items) and all(map(usable, found.items))


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
    if entry.kind == Kind.passed_over:
        return _rejected("passed over: the fold died of it", entry.body)
    if entry.kind == Kind.batch:
        return decode_body(entry.body)
    return Tick(entry.received_at) if entry.kind == Kind.tick else _control_of(entry.body)


def _control_of(body: bytes) -> Batch | Control:
    try:
        control: Control = _control(body)
        return control
    except msgspec.DecodeError:
        return _rejected("a control of an unknown version", body)


def _rejected(reason: str, body: bytes) -> Batch:
    batch = Batch()
    batch.reject(reason, body)
    return batch


class JournalSource:
    """Reads the journal in a data directory, beside a daemon that writes it or without one.

    Iterating gives `Record`s; they are to be folded into `fold`.

    :raises StoreError: there is no journal, it is damaged or half restored, or its beginning is gone and no snapshot
        makes up for it.
    """

    bytes_total = None

    def __init__(self, directory: Path) -> None:
        layout = Layout(directory)
        refuse_unfinished(directory)
        self._reader = JournalReader(layout.journal)
        self.files, self.ignored = [str(layout.journal)], list[str]()
        self.problems: list[str] = []
        self.bytes_read = 0
        """Bytes of the entries given so far."""
        self.fold = self._begin(layout)

    @staticmethod
    def there(path: str) -> bool:
        """Tell whether a path is a data directory."""
        return Layout(Path(path)).journal.is_file()

    def _begin(self, layout: Layout) -> Fold:
        first = self._reader.first
        if first == 0:
            return Fold()
        snapshots = Snapshots(layout.snapshots)
        offset = next((offset for offset in snapshots.offsets() if offset >= first - 1), None)
        if offset is None:
            raise StoreError(f"{layout.journal} begins at offset {first}, and no snapshot was kept from before that")
        self.problems.append(f"{layout.journal}: pruned before offset {first}: from the snapshot of offset {offset} on")
        return Fold.restore(snapshots.read(offset))

    def __iter__(self) -> Iterator[Record]:
        """Give what is in the journal now, in order."""
        offset, last = self.fold.offset, self._reader.last
        while offset < last and (entries := self._reader.after(offset)):
            for entry in entries:
                self.bytes_read += len(entry.body)
                yield record_of(entry)
            offset = entries[-1].offset
        self._reader.close()
