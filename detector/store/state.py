"""The state: alerts with their verdicts, the outbox, dead letters, suppressions, and how far alerts are stored."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import msgspec

from detector.alerts.suppress import Lift, Suppression
from detector.errors import StoreFullError
from detector.event import SECOND
from detector.finding import Alert, Verdict
from detector.store import alerts, dead_letters, deliveries, suppressions
from detector.store.alerts import StoredAlert, Wanted
from detector.store.database import explained, give_back
from detector.store.dead_letters import DeadLetter
from detector.store.deliveries import Delivery, Depth, Message, Outstanding
from detector.store.migrate import open_database, open_for_reading
from detector.store.tables import EMITTED, STATE
from detector.store.writer import Writer

T = TypeVar("T")
Decision = Verdict | Suppression | Lift
"""What a person decides about alerts; it takes effect in the fold."""

ALL = Wanted()
KEEP = 90 * 86_400 * SECOND

_encode = msgspec.json.Encoder().encode


def now() -> int:
    """Give the time: microseconds since 1970."""
    return time.time_ns() // 1000


class State:
    """The only writer of the state. Its methods may be called by any thread; a Future resolves when it is on the disk.

    Futures raise StoreFullError while there is no room, and StoreError where the disk or the database has a fault;
    methods that read raise StoreError.
    """

    emitted_offset: int
    """The newest offset of the journal of which all alerts are stored; -1 at the beginning."""

    def __init__(self, path: Path, *, keep: int = KEEP, clock: Callable[[], int] = now) -> None:
        """Open the state, a new one where there is none. Raises StoreError.

        ``keep``: microseconds for which closed alerts are kept. ``clock`` gives microseconds since 1970.
        """
        self.path, self.keep = path, keep
        self._clock = clock
        self._lock = threading.Lock()
        self._letters = threading.BoundedSemaphore(dead_letters.MOST_PENDING)
        self._connection = open_database(path, STATE)
        try:
            self._reading = open_for_reading(path, STATE)
            with explained(path):
                self._count(self._reading)
        except BaseException:
            self._connection.close()
            raise
        self._writer = Writer(self._connection, path, self._count)

    def emit(
        self,
        offset: int,
        changed: Sequence[Alert],
        deliver: Sequence[Message],
        decided: Sequence[Decision] = (),
    ) -> Future[bool]:
        """Store what the journal up to ``offset`` changed, all of it or nothing; False when it is stored already.

        ``deliver``: which sinks are to hear of which of ``changed``. Call it in the order of offsets, and no more
        before one that failed has been called again: what lies before an offset counts as stored.
        """
        emission = _Emission(offset, changed, deliver, decided, self._clock())
        return self._writer.submit(emission.write, prepare=emission.prepare)

    def due(self, sink: str, now: int, limit: int) -> list[Delivery]:
        """Give what a sink is to hear now, oldest first; none while an older revision of its alert is put off."""
        return self._read(lambda connection: deliveries.due(connection, sink, now, limit))

    def deliveries(self, alert: str) -> list[Outstanding]:
        """Give what sinks have not taken of an alert, by its id; nothing where all of them have all of it."""
        return self._read(lambda connection: deliveries.of_alert(connection, alert))

    def delivered(self, ids: Sequence[int]) -> Future[None]:
        """Take rows out of the outbox: the sink said yes."""
        return self._writer.submit(lambda connection: deliveries.done(connection, ids))

    def retry(self, ids: Sequence[int], at: int, error: str) -> Future[None]:
        """Put rows off until a time (microseconds), and count the try."""
        text = dead_letters.plain(error)
        return self._writer.submit(lambda connection: deliveries.put_off(connection, ids, at, text))

    def bury(self, ids: Sequence[int], error: str) -> Future[None]:
        """Move rows to the dead letters. Where a sink has too many of these, its oldest are lost: see `Depth.lost`."""
        text, at = dead_letters.plain(error), self._clock()
        return self._writer.submit(lambda connection: deliveries.bury(connection, ids, at, text))

    def abandon(self, kept: Sequence[str], before: int) -> Future[int]:
        """Bury some of what has waited since before a time for sinks other than those kept; gives how many."""
        at = self._clock()
        return self._writer.submit(lambda connection: deliveries.abandon(connection, kept, before, at))

    def redeliver(self, ids: Sequence[int] | None = None, sink: str | None = None) -> Future[int]:
        """Put failed deliveries back into the outbox: these ids, or those of a sink, or all. Gives how many."""
        at = self._clock()
        return self._writer.submit(lambda connection: deliveries.dig_up(connection, ids, sink, at))

    def outbox_depth(self) -> dict[str, Depth]:
        """Give for each sink that has not taken everything, configured or not, how much that is."""
        return self._read(deliveries.depth)

    def dead_letter(  # noqa: PLR0913 -- so many things are worth knowing of one
        self,
        kind: str,
        cluster: str,
        reason: str,
        *,
        sha256: str,
        length: int,
        peer: str = "",
        position: int | None = None,
        at: int | None = None,
        body: bytes | None = None,
    ) -> Future[None]:
        """Keep what is known of a ``body`` or an ``item`` that could not be read; one that is known is counted.

        Nobody waits for it, so a disk that hangs would have memory fill up: beyond `dead_letters.MOST_PENDING` the
        future raises StoreFullError, and it is not kept.
        """
        if not self._letters.acquire(blocking=False):
            refused: Future[None] = Future()
            refused.set_exception(StoreFullError(f"{self.path} is slow: too many dead letters wait to be written"))
            return refused
        time = self._clock() if at is None else at
        letter = DeadLetter(0, kind, cluster, reason, sha256, length, peer, position, 1, time, time, body, "", "")
        future = self._writer.submit(lambda connection: dead_letters.add(connection, letter))
        future.add_done_callback(lambda _: self._letters.release())
        return future

    def dead_letters(self, kind: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Give the newest dead letters of one kind, or of all: ``body``, ``item``, ``delivery``."""
        return self._read(lambda connection: dead_letters.find(connection, kind, limit))

    def alerts(self, wanted: Wanted = ALL, limit: int = 100) -> list[StoredAlert]:
        """Give alerts, those opened last first."""
        return self._read(lambda connection: alerts.find(connection, wanted, limit))

    def alert(self, name: str) -> StoredAlert | None:
        """Give one alert by its id."""
        return self._read(lambda connection: alerts.get(connection, name))

    def suppressions(self) -> list[Suppression]:
        """Give the suppressions, the one that ends first at the front."""
        return self._read(suppressions.find)

    def expire(self) -> Future[int]:
        """Delete some of the closed alerts that are too old or too many; gives how many. To be called now and then."""
        before = self._clock() - self.keep

        def work(connection: sqlite3.Connection) -> int:
            gone = alerts.expire(connection, before)
            give_back(connection)
            return gone

        return self._writer.submit(work)

    def meta(self, key: str) -> str | None:
        """Give what `set_meta` has kept."""
        return self._read(lambda connection: _meta(connection, key))

    def set_meta(self, key: str, value: str) -> Future[None]:
        """Keep a text under a name."""
        return self._writer.submit(lambda connection: _set_meta(connection, key, value))

    def close(self, timeout: float = 30.0) -> None:
        """Write what was submitted, and close. Raises StoreError when the disk hangs."""
        with self._lock:
            self._reading.close()
        self._writer.close(timeout)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, explained(self.path):
            return query(self._reading)

    def _count(self, connection: sqlite3.Connection) -> None:
        self.emitted_offset = int(_meta(connection, EMITTED) or -1)


class _Emission:
    """What the journal up to an offset changed, on its way to the disk."""

    def __init__(
        self,
        offset: int,
        changed: Sequence[Alert],
        deliver: Sequence[Message],
        decided: Sequence[Decision],
        now: int,
    ) -> None:
        self._offset, self._changed, self._deliver, self._decided, self._now = offset, changed, deliver, decided, now
        self._bodies: list[bytes] = []

    def prepare(self) -> None:
        """Write the alerts as JSON."""
        self._bodies = [_encode(alert) for alert in self._changed]

    def write(self, connection: sqlite3.Connection) -> bool:
        """Do all of it, unless it is done."""
        if self._offset <= int(_meta(connection, EMITTED) or -1):
            return False
        bodies = [alerts.write_body(connection, body) for body in self._bodies]
        for message in self._deliver:
            alert, body = self._changed[message.place], bodies[message.place]
            deliveries.add(connection, message, alert.id, body, self._now)
        for sink, terms in {message.sink: message.terms for message in self._deliver}.items():
            deliveries.make_room(connection, sink, terms, self._now)
        for alert, body in zip(self._changed, bodies, strict=True):
            alerts.store(connection, alert, body)
        alerts.drop_unused(connection, bodies)
        for decision in self._decided:
            _decide(connection, decision)
        _set_meta(connection, EMITTED, str(self._offset))
        return True


def _decide(connection: sqlite3.Connection, decision: Decision) -> None:
    match decision:
        case Verdict():
            alerts.judge(connection, decision)
        case Suppression():
            suppressions.put(connection, decision)
        case Lift():
            suppressions.lift(connection, decision.id)


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("REPLACE INTO meta VALUES (?, ?)", (key, value))
