"""The table of deliveries: what a sink is still to hear (the outbox), and what it could not be told (buried).

Both are bounded for each sink, in rows and in bytes. Of what waits too much is buried, of what is buried too much goes
for good; the oldest first, and both are counted. The body of a revision is kept once, whoever is to hear of it; its
bytes count for each.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from detector.event import SECOND
from detector.finding import Alert
from detector.store.alerts import Body

MOST_WAITING, MOST_WAITING_BYTES = 100_000, 512 << 20
"""What waits for one sink, unless its `Terms` say otherwise."""
MOST_BURIED, MOST_BURIED_BYTES = 10_000, 256 << 20
"""What is kept of the buried deliveries of one sink."""
FAR = 2 * 3600 * SECOND
"""Nothing is put off for so long: a row that is due later is from before the clock was set back, and is due."""
AT_ONCE = 1_000
"""Rows that are buried in one transaction for sinks that there are no more."""

_decode = msgspec.json.Decoder(Alert).decode
# A revision that takes the place of others has waited since, and comes when, the first of them did and would.
_ADD = """
    INSERT INTO outbox (sink, alert, body, size, created_at, due_at, tries, error)
    SELECT :sink, :alert, :body, :size, coalesce(min(created_at), :now), coalesce(max(due_at), :now),
        coalesce(max(tries), 0), coalesce(max(error), '')
    FROM outbox WHERE :replaces AND sink = :sink AND alert = :alert AND buried_at IS NULL"""
_REPLACED = "DELETE FROM outbox WHERE sink = ? AND alert = ? AND buried_at IS NULL AND id < ?"
_DUE = """
    SELECT one.id, alert_bodies.body, tries, created_at
    FROM outbox AS one CROSS JOIN alert_bodies ON alert_bodies.id = one.body
    WHERE sink = :sink AND due_at NOT BETWEEN :now + 1 AND :far AND buried_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM outbox AS earlier
        WHERE earlier.sink = :sink AND earlier.alert = one.alert AND earlier.id < one.id
            AND earlier.due_at BETWEEN :now + 1 AND :far AND earlier.buried_at IS NULL
    )
    ORDER BY one.id LIMIT :limit"""
_DONE = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))"
_PUT_OFF = """
    UPDATE outbox SET due_at = ?, tries = tries + 1, error = ?
    WHERE id IN (SELECT value FROM json_each(?)) AND buried_at IS NULL"""
_BURY = """
    UPDATE outbox SET buried_at = ?, tries = tries + ?, error = ? WHERE id IN (SELECT value FROM json_each(?))
    RETURNING sink"""
_DIG_UP = """
    UPDATE outbox SET buried_at = NULL, created_at = :now, due_at = :now, tries = 0
    WHERE buried_at IS NOT NULL AND (:sink IS NULL OR sink = :sink)
        AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))"""
_OF_ALERT = """
    SELECT sink, tries, error, created_at, due_at, buried_at IS NOT NULL AS buried FROM outbox
    WHERE alert = ? ORDER BY buried, id"""
_SUM = "SELECT rows, bytes FROM outbox_sums WHERE sink = ? AND buried = ?"
_OLDEST = {
    False: "SELECT id, size FROM outbox WHERE sink = ? AND buried_at IS NULL ORDER BY id",
    True: "SELECT id, size FROM outbox WHERE sink = ? AND buried_at IS NOT NULL ORDER BY id",
}
_COUNT_DISPLACED = "UPDATE outbox_sums SET displaced = displaced + ? WHERE sink = ? AND buried = ?"
_ABANDONED = """
    SELECT id FROM outbox
    WHERE buried_at IS NULL AND created_at < :before
        AND sink IN (SELECT sink FROM outbox_sums WHERE sink NOT IN (SELECT value FROM json_each(:kept)))
    LIMIT :limit"""
_DEPTH = """
    SELECT sink, sum(rows * (NOT buried)), sum(bytes * (NOT buried)),
        (SELECT min(created_at) FROM outbox WHERE outbox.sink = outbox_sums.sink AND buried_at IS NULL),
        sum(rows * buried), sum(displaced * (NOT buried)), sum(displaced * buried)
    FROM outbox_sums GROUP BY sink HAVING sum(rows) OR sum(displaced)"""


class Terms(NamedTuple):
    """How alerts wait for a sink."""

    replaces: bool = False
    """A revision takes the place of those before it, where these wait still."""
    rows: int = MOST_WAITING
    bytes: int = MOST_WAITING_BYTES


class Message(NamedTuple):
    """That a sink is to hear of an alert."""

    sink: str
    place: int
    """The alert's, among those that are stored with it."""
    terms: Terms = Terms()


class Delivery(msgspec.Struct, frozen=True):
    """One alert revision that one sink is to hear. ``created_at`` is in microseconds since 1970."""

    id: int
    alert: Alert
    tries: int
    created_at: int


class Outstanding(msgspec.Struct, frozen=True):
    """A revision of an alert that a sink has not taken. Times are in microseconds since 1970."""

    sink: str
    tries: int
    error: str
    """Why the last try failed; empty before the first."""
    created_at: int
    due_at: int
    """When it is tried next, at the earliest."""
    buried: bool
    """It was given up, and lies among the dead letters."""


class Depth(msgspec.Struct, frozen=True):
    """How much a sink has not taken."""

    waiting: int
    bytes: int
    """Of the alerts that wait."""
    oldest: int | None
    """Since when the oldest waits, in microseconds since 1970; None where none does."""
    buried: int
    """Deliveries among the dead letters."""
    displaced: int
    """Deliveries that were buried because too many waited, ever."""
    lost: int
    """Buried deliveries that went for good because there were too many, ever."""


NOTHING = Depth(waiting=0, bytes=0, oldest=None, buried=0, displaced=0, lost=0)


def add(connection: sqlite3.Connection, message: Message, alert: str, body: Body, now: int) -> None:
    """Put a revision of an alert, by the alert's id, into the outbox."""
    sink, replaces = message.sink, message.terms.replaces
    row = {"sink": sink, "alert": alert, "body": body.id, "size": body.size, "now": now, "replaces": replaces}
    added = connection.execute(_ADD, row).lastrowid
    if replaces:
        connection.execute(_REPLACED, (sink, alert, added))


def make_room(connection: sqlite3.Connection, sink: str, terms: Terms, now: int) -> None:
    """Bury the oldest of what waits for a sink beyond its terms, and count them."""
    going = _beyond(connection, sink, terms.rows, terms.bytes, buried=False)
    if going:
        error = f"given up unsent: more than {terms.rows} alerts or {terms.bytes} bytes waited for the sink"
        bury(connection, going, now, error, tries=0)
        connection.execute(_COUNT_DISPLACED, (len(going), sink, False))


def due(connection: sqlite3.Connection, sink: str, now: int, limit: int) -> list[Delivery]:
    """Give what a sink is to hear now, oldest first; none while an earlier revision of its alert waits for its time."""
    rows = connection.execute(_DUE, {"sink": sink, "now": now, "far": now + FAR, "limit": limit})
    return [Delivery(number, _decode(body), tries, created_at) for number, body, tries, created_at in rows]


def of_alert(connection: sqlite3.Connection, alert: str) -> list[Outstanding]:
    """Give what sinks have not taken of an alert."""
    rows = connection.execute(_OF_ALERT, (alert,))
    return [
        Outstanding(sink, tries, error, since, due, bool(buried)) for sink, tries, error, since, due, buried in rows
    ]


def done(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Delete rows."""
    connection.execute(_DONE, (json.dumps(ids),))


def put_off(connection: sqlite3.Connection, ids: Sequence[int], at: int, error: str) -> None:
    """Count a try, and wait until a time."""
    connection.execute(_PUT_OFF, (at, error, json.dumps(ids)))


def bury(connection: sqlite3.Connection, ids: Sequence[int], now: int, error: str, *, tries: int = 1) -> None:
    """Take rows out of the outbox and keep them, after so many tries more; of those too many the oldest are lost."""
    sinks = {sink for (sink,) in connection.execute(_BURY, (now, tries, error, json.dumps(ids)))}
    for sink in sinks:
        lost = _beyond(connection, sink, MOST_BURIED, MOST_BURIED_BYTES, buried=True)
        if lost:
            done(connection, lost)
            connection.execute(_COUNT_DISPLACED, (len(lost), sink, True))


def abandon(connection: sqlite3.Connection, kept: Sequence[str], before: int, now: int) -> int:
    """Bury some of what waits, since before a time, for sinks other than those kept; gives how many."""
    rows = connection.execute(_ABANDONED, {"kept": json.dumps(kept), "before": before, "limit": AT_ONCE}).fetchall()
    bury(connection, [number for (number,) in rows], now, "the sink is configured no more", tries=0)
    return len(rows)


def dig_up(connection: sqlite3.Connection, ids: Sequence[int] | None, sink: str | None, now: int) -> int:
    """Put buried rows back, as if they were new; gives how many."""
    chosen = {"now": now, "sink": sink, "ids": None if ids is None else json.dumps(ids)}
    return connection.execute(_DIG_UP, chosen).rowcount


def depth(connection: sqlite3.Connection) -> dict[str, Depth]:
    """Give for each sink that has not taken everything how much that is."""
    return {sink: Depth(*row) for sink, *row in connection.execute(_DEPTH)}


def _beyond(connection: sqlite3.Connection, sink: str, rows: int, size: int, *, buried: bool) -> list[int]:
    """Give the oldest rows of a sink, of those that wait or of those buried, that are too many."""
    going = []
    there, used = connection.execute(_SUM, (sink, buried)).fetchone() or (0, 0)
    if there > rows or used > size:
        for number, its_size in connection.execute(_OLDEST[buried], (sink,)):
            if there <= rows and used <= size:
                break
            going.append(number)
            there, used = there - 1, used - its_size
    return going
