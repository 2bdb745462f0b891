"""The journal: what came, in order, on the disk before anybody is told that it was received."""

from __future__ import annotations

import os
import sqlite3
import threading
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import zstandard

from detector.errors import StoreError, StoreFullError
from detector.event import SECOND
from detector.store.database import FREE_SPACE, explained, give_back, sizes
from detector.store.entry import JOURNAL, Appended, Entry, Kind
from detector.store.migrate import open_database
from detector.store.reader import JournalReader
from detector.store.resends import Resends
from detector.store.writer import Writer

LIMIT = 4 << 30
KEEP = 7 * 86_400 * SECOND
RESERVE = 128 << 20
MAX_WAITING = 64 << 20
"""Bytes of bodies that may wait for the disk; more would only fill the memory."""
PRUNED_AT_ONCE = 64
"""Entries that go in one transaction: what is to be appended waits for it."""
AMPLE, SCARCE = 3 / 4, 7 / 8
"""Shares of the room that the journal has: the one it is pruned to, and the one at which that is urgent."""
COMPRESSION = 1
"""zstd level. It makes 1/16 of real events, for less CPU than SQLite needs to write what it saves."""
_SKIP = 'UPDATE entries SET kind = ? WHERE "offset" = ?'


class Journal:
    """The only writer of the journal. Its methods may be called by any thread."""

    first: int
    """The offset of the oldest entry; 0 in an empty journal."""
    last: int
    """The offset of the newest entry on the disk; -1 in an empty journal."""
    used: int
    """Bytes of the file in use."""

    def __init__(self, path: Path, limit: int = LIMIT, *, keep: int = KEEP, reserve: int = RESERVE) -> None:
        """Open the journal, a new one where there is none. Raises StoreError.

        ``limit``: bytes it may use. ``keep``: microseconds for which entries are kept that are no longer needed, while
        there is room. ``reserve``: bytes of the disk it leaves free, for the state and the snapshots.
        """
        self.path, self.limit, self.keep, self.reserve = path, limit, keep, reserve
        self._lock = threading.RLock()
        self._waiting = 0
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION, write_checksum=True)
        self._connection = open_database(path, JOURNAL)
        try:
            with explained(path):
                self._measure(self._connection)
                digests = 'SELECT digest, "offset", received_at FROM digests ORDER BY "offset"'
                self._resends = Resends(self._connection.execute(digests))
            self._reader = JournalReader(path)
        except BaseException:
            self._connection.close()
            raise
        self._writer = Writer(self._connection, path, self._measure)

    def append(
        self,
        kind: Kind,
        cluster: str,
        body: bytes,
        *,
        received_at: int,
        events: int = 0,
        digest: bytes | None = None,
    ) -> Future[Appended]:
        """Write one entry; the future resolves when it is on the disk.

        ``received_at`` is in microseconds. ``digest`` stands for the body as it came, with its cluster: when one of the
        last 30 minutes had the same, nothing is written, and the answer waits until that one is on the disk. The future
        raises StoreFullError where there is no room now, StoreError where the disk or the database has a fault.
        """
        with self._lock:
            first = self._resends.find(digest, received_at) if digest is not None else None
            if first is not None:
                return _again(first)
            refusal = self._refusal(len(body))
            if refusal is not None:
                return _failed(refusal)
            entry = _Unwritten(self._compressor, body, (kind.value, cluster, received_at, events, len(body)))
            entry.digest, entry.forgotten = digest, self._resends.oldest()
            self._waiting += len(body)
            written = self._writer.submit(entry.write, prepare=entry.pack)
            if digest is not None:
                self._resends.begin(digest, received_at, written)
        written.add_done_callback(partial(self._settled, len(body), digest))
        return _follow(written, resent=False)

    def prune(self, upto: int) -> Future[int]:
        """Let entries go that nobody needs any more, those up to an offset; gives how many went.

        The oldest go while the journal uses more than `AMPLE` of the room it has, and those older than ``keep``.
        The newest entry stays in any case: its offset must not be used again.
        """
        done: Future[int] = Future()
        done.set_running_or_notify_cancel()
        self._prune(upto, 0, done)
        return done

    def pass_over(self, offset: int) -> Future[Entry]:
        """Have an entry stay as it is, and be folded no more; gives it as it was. The future raises StoreError."""

        def work(connection: sqlite3.Connection) -> Entry:
            connection.execute(_SKIP, (Kind.passed_over.value, offset))
            for entry in self._reader.after(offset - 1, 1):
                return entry
            raise StoreError(f"{self.path} has no entry {offset}")

        return self._writer.submit(work)

    def depth(self, offset: int) -> int:
        """Give how many entries there are after an offset."""
        return self.last - offset

    def received_after(self, offset: int) -> int | None:
        """Give the time of arrival of the first entry after an offset; None where there is none."""
        return self._reader.received_after(offset)

    def trouble(self) -> str:
        """Say why an entry would be refused now; empty where none would."""
        with self._lock:
            refusal = self._refusal(0)
        return "" if refusal is None else str(refusal)

    @property
    def pressed(self) -> bool:
        """Whether so little room is left that what is folded should go soon, and not when the next snapshot is due."""
        with self._lock:
            return self.used + self._waiting > min(self._capacity()) * SCARCE

    def close(self, timeout: float = 30.0) -> None:
        """Write what was appended, and close. Raises StoreError when the disk hangs."""
        self._reader.close()
        self._writer.close(timeout)

    def _capacity(self) -> tuple[int, int]:
        """Give the bytes it may use by its limit, and by the room there is on the disk."""
        disk = os.statvfs(self.path.parent)
        return self.limit, self.used + self._spare + disk.f_bavail * disk.f_frsize - self.reserve

    def _refusal(self, size: int) -> StoreError | None:
        if self._waiting and self._waiting + size > MAX_WAITING:
            return StoreFullError(f"{self.path}: the disk does not keep up: {self._waiting >> 20} MB wait for it")
        wanted = self.used + self._waiting + size
        limit, disk = self._capacity()
        if wanted > limit:
            return StoreFullError(f"{self.path} is full: give it more than {limit} bytes, or see why detection lags")
        if wanted > disk:
            return StoreFullError(f"{self.path}: less than {self.reserve} bytes are free on the disk: {FREE_SPACE}")
        return None

    def _measure(self, connection: sqlite3.Connection) -> None:
        first, last = connection.execute(
            'SELECT (SELECT min("offset") FROM entries), (SELECT max("offset") FROM entries)'
        ).fetchone()
        self.first, self.last = (0, -1) if last is None else (first, last)
        self.used, self._spare = sizes(connection)

    def _settled(self, size: int, digest: bytes | None, written: Future[Appended]) -> None:
        with self._lock:
            self._waiting -= size
            if digest is not None:
                self._resends.settle(digest, written)

    def _prune(self, upto: int, before: int, done: Future[int]) -> None:
        some = self._writer.submit(partial(self._delete, upto))
        some.add_done_callback(partial(self._pruned, upto, before, done))

    def _pruned(self, upto: int, before: int, done: Future[int], some: Future[int]) -> None:
        error = some.exception()
        if error is not None:
            done.set_exception(error)
        elif some.result() < PRUNED_AT_ONCE:
            done.set_result(before + some.result())
        else:
            self._prune(upto, before + some.result(), done)

    def _delete(self, upto: int, connection: sqlite3.Connection) -> int:
        """Delete some of the oldest entries that may go and should; gives how many."""
        newest = 'SELECT received_at FROM entries WHERE "offset" = ?'
        (now,) = connection.execute(newest, (self.last,)).fetchone() or (0,)
        oldest = 'SELECT "offset", received_at, length(body) FROM entries WHERE "offset" <= ? ORDER BY "offset" LIMIT ?'
        excess = self.used - min(self._capacity()) * AMPLE
        going: list[int] = []
        for offset, received_at, size in connection.execute(oldest, (min(upto, self.last - 1), PRUNED_AT_ONCE)):
            if excess <= 0 and received_at >= now - self.keep:
                break
            going.append(offset)
            excess -= size
        if going:
            connection.execute('DELETE FROM entries WHERE "offset" <= ?', (going[-1],))
        give_back(connection)
        return len(going)


class _Unwritten:
    """An entry on its way to the disk; the steps are done on the writer's thread."""

    digest: bytes | None = None
    forgotten: int | None = None
    """Digests of entries before this one are no longer needed."""

    def __init__(self, compressor: zstandard.ZstdCompressor, body: bytes, row: tuple[str, str, int, int, int]) -> None:
        self._compressor, self._body, self._row = compressor, body, row

    def pack(self) -> None:
        """Compress the body, before the transaction begins."""
        self._body = self._compressor.compress(self._body)

    def write(self, connection: sqlite3.Connection) -> Appended:
        """Insert it; the offset is one more than the last in the database."""
        (last,) = connection.execute('SELECT max("offset") FROM entries').fetchone()
        offset = 0 if last is None else last + 1
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", (offset, *self._row, self._body))
        if self.digest is not None:
            (_kind, _cluster, received_at, *_sizes) = self._row
            connection.execute("INSERT INTO digests VALUES (?, ?, ?)", (offset, received_at, self.digest))
        if self.forgotten is not None:
            connection.execute('DELETE FROM digests WHERE "offset" < ?', (self.forgotten,))
        return Appended(offset)


def _again(first: Future[Appended] | int) -> Future[Appended]:
    """Answer for a body that was sent before."""
    if isinstance(first, Future):
        return _follow(first, resent=True)
    known: Future[Appended] = Future()
    known.set_result(Appended(first, resent=True))
    return known


def _follow(first: Future[Appended], *, resent: bool) -> Future[Appended]:
    """Give a future of one's own for what is being written: somebody who cancels it stops nobody else."""
    own: Future[Appended] = Future()
    first.add_done_callback(partial(_hand_on, own, resent))
    return own


def _hand_on(own: Future[Appended], resent: bool, first: Future[Appended]) -> None:
    error = first.exception()
    if not own.set_running_or_notify_cancel():
        return
    if error is not None:
        own.set_exception(error)
    else:
        own.set_result(Appended(first.result().offset, resent))


def _failed(error: StoreError) -> Future[Appended]:
    refused: Future[Appended] = Future()
    refused.set_exception(error)
    return refused
