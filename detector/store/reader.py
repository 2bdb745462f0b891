"""Reading the journal, in this process or another, while it is being written."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import zstandard

from detector.errors import StoreError
from detector.store.database import START_OVER, explained, sizes
from detector.store.entry import JOURNAL, Entry
from detector.store.migrate import open_for_reading

_AFTER = """SELECT "offset", kind, cluster, received_at, events, length, body
            FROM entries WHERE "offset" > ? ORDER BY "offset" """
_Row = tuple[int, str, str, int, int, int, bytes]


class JournalReader:
    """A read-only view of the journal. Several threads may use it."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError."""
        self.path = path
        self._connection = open_for_reading(path, JOURNAL)
        self._decompressor = zstandard.ZstdDecompressor()
        self._lock = threading.Lock()

    @property
    def first(self) -> int:
        """The offset of the oldest entry; 0 in an empty journal."""
        return self._value('SELECT min("offset") FROM entries', 0)

    @property
    def last(self) -> int:
        """The offset of the newest entry; -1 in an empty journal."""
        return self._value('SELECT max("offset") FROM entries', -1)

    @property
    def used(self) -> int:
        """Bytes of the file in use."""
        with self._lock, explained(self.path):
            return sizes(self._connection)[0]

    def received_after(self, offset: int) -> int | None:
        """Give the time of arrival of the first entry after an offset; None where there is none."""
        query = 'SELECT received_at FROM entries WHERE "offset" > ? ORDER BY "offset" LIMIT 1'
        with self._lock, explained(self.path):
            row = self._connection.execute(query, (offset,)).fetchone()
        return None if row is None else int(row[0])

    def after(self, offset: int, max_bytes: int = 8 << 20) -> list[Entry]:
        """Give the next entries: at least one where there is one, and no more once their bodies are ``max_bytes``.

        Raises StoreError on damage, and where the entry after ``offset`` has been pruned.
        """
        with self._lock, explained(self.path):
            entries = self._take(self._connection.execute(_AFTER, (offset,)), max_bytes)
        if entries and entries[-1].offset != offset + len(entries):
            raise StoreError(
                f"{self.path}: of the entries after {offset} some are missing; it begins at {self.first}: {START_OVER}"
            )
        return entries

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._connection.close()

    def _value(self, query: str, default: int) -> int:
        with self._lock, explained(self.path):
            (value,) = self._connection.execute(query).fetchone()
        return default if value is None else int(value)

    def _take(self, rows: sqlite3.Cursor, max_bytes: int) -> list[Entry]:
        entries: list[Entry] = []
        size = 0
        try:
            for row in rows:
                entries.append(self._entry(row))
                size += len(entries[-1].body)
                if size >= max_bytes:
                    break
        finally:
            rows.close()  # an open cursor would keep the write-ahead log from being emptied
        return entries

    def _entry(self, row: _Row) -> Entry:
        offset, kind, cluster, received_at, events, length, packed = row
        try:
            body = self._decompressor.decompress(packed, max_output_size=length)
        except zstandard.ZstdError:
            raise StoreError(f"{self.path} is damaged (the body of entry {offset}): {START_OVER}") from None
        return Entry(offset, kind, cluster, received_at, events, body)
