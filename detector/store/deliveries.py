"""The table of deliveries: what a sink is still to hear (the outbox), and what it could not be told (buried)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import msgspec

from detector.event import SECOND
from detector.finding import Alert

MOST_BURIED = 10_000
"""Buried deliveries kept; beyond that the oldest go, and are counted."""
FAR = 2 * 3600 * SECOND
"""Nothing is put off for so long: a row that is due later is from before the clock was set back, and is due."""

_decode = msgspec.json.Decoder(Alert).decode
_DUE = """
    SELECT id, body, tries, created_at FROM outbox AS one
    WHERE sink = :sink AND due_at NOT BETWEEN :now + 1 AND :far AND buried_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM outbox AS earlier
        WHERE earlier.sink = :sink AND earlier.alert = one.alert AND earlier.id < one.id
            AND earlier.due_at BETWEEN :now + 1 AND :far AND earlier.buried_at IS NULL
    )
    ORDER BY id LIMIT :limit"""
_DONE = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))"
_PUT_OFF = """
    UPDATE outbox SET due_at = ?, tries = tries + 1, error = ? WHERE id IN (SELECT value FROM json_each(?))"""
_BURY = """
    UPDATE outbox SET buried_at = ?, tries = tries + 1, error = ? WHERE id IN (SELECT value FROM json_each(?))"""
_EXCESS = """
    DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE buried_at IS NOT NULL ORDER BY id LIMIT ?)"""
_DIG_UP = """
    UPDATE outbox SET buried_at = NULL, created_at = :now, due_at = :now, tries = 0
    WHERE buried_at IS NOT NULL AND (:sink IS NULL OR sink = :sink)
        AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))"""
# By sink, as the index is; those buried are few.
_OF_ALERT = """
    SELECT sink, tries, error, created_at, due_at, FALSE FROM outbox
    WHERE buried_at IS NULL AND alert = :alert AND sink IN (SELECT DISTINCT sink FROM outbox WHERE buried_at IS NULL)
    UNION ALL
    SELECT sink, tries, error, created_at, due_at, TRUE FROM outbox WHERE buried_at IS NOT NULL AND alert = :alert"""
_DEPTH = "SELECT sink, count(*), min(created_at) FROM outbox WHERE buried_at IS NULL GROUP BY sink"


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


def add(connection: sqlite3.Connection, sink: str, alert: Alert, body: bytes, now: int) -> None:
    """Put an alert into the outbox for a sink."""
    connection.execute(
        "INSERT INTO outbox (sink, alert, created_at, due_at, body) VALUES (?, ?, ?, ?, ?)",
        (sink, alert.id, now, now, body),
    )


def due(connection: sqlite3.Connection, sink: str, now: int, limit: int) -> list[Delivery]:
    """Give what a sink is to hear now, oldest first; none while an earlier revision of its alert waits for its time."""
    rows = connection.execute(_DUE, {"sink": sink, "now": now, "far": now + FAR, "limit": limit})
    return [Delivery(number, _decode(body), tries, created_at) for number, body, tries, created_at in rows]


def of_alert(connection: sqlite3.Connection, alert: str) -> list[Outstanding]:
    """Give what sinks have not taken of an alert."""
    rows = connection.execute(_OF_ALERT, {"alert": alert})
    return [
        Outstanding(sink, tries, error, since, due, bool(buried)) for sink, tries, error, since, due, buried in rows
    ]


def done(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Delete rows."""
    connection.execute(_DONE, (json.dumps(ids),))


def put_off(connection: sqlite3.Connection, ids: Sequence[int], at: int, error: str) -> None:
    """Count a try, and wait until a time."""
    connection.execute(_PUT_OFF, (at, error, json.dumps(ids)))


def bury(connection: sqlite3.Connection, ids: Sequence[int], now: int, error: str) -> int:
    """Take rows out of the outbox and keep them; gives how many of those buried before had to go for good."""
    connection.execute(_BURY, (now, error, json.dumps(ids)))
    (buried,) = connection.execute("SELECT count(*) FROM outbox WHERE buried_at IS NOT NULL").fetchone()
    return connection.execute(_EXCESS, (max(0, buried - MOST_BURIED),)).rowcount


def dig_up(connection: sqlite3.Connection, ids: Sequence[int] | None, sink: str | None, now: int) -> int:
    """Put buried rows back, as if they were new; gives how many."""
    chosen = {"now": now, "sink": sink, "ids": None if ids is None else json.dumps(ids)}
    return connection.execute(_DIG_UP, chosen).rowcount


def depth(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Give for each sink how many rows wait, and when the oldest was created."""
    return {sink: (count, oldest) for sink, count, oldest in connection.execute(_DEPTH)}
