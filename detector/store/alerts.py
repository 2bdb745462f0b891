"""The table of alerts: each alert in its newest revision, with what people say of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from detector.finding import Alert, Level, Verdict

MOST = 100_000
"""Alerts kept."""
AT_ONCE = 500
"""Alerts that go in one transaction."""

_decode = msgspec.json.Decoder(Alert).decode
_STORE = """
    INSERT INTO alerts (id, revision, status, level, rule, title, cluster, actor, last_seen, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        revision = excluded.revision, status = excluded.status, level = excluded.level, rule = excluded.rule,
        title = excluded.title, cluster = excluded.cluster, actor = excluded.actor, last_seen = excluded.last_seen,
        body = excluded.body
    WHERE excluded.revision > revision"""
_FIND = """
    SELECT alert_bodies.body, judgement, who, why, judged_at, place
    FROM alerts JOIN alert_bodies ON alert_bodies.id = alerts.body"""
_UNUSED = """
    DELETE FROM alert_bodies WHERE id IN (SELECT value FROM json_each(?))
        AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.body = alert_bodies.id)
        AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.body = alert_bodies.id)"""
_EXCESS = "SELECT place FROM alerts ORDER BY status = 'open', place LIMIT ?"
_OLD = "SELECT place FROM alerts WHERE status = 'closed' AND last_seen < ? LIMIT ?"


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, and the verdict on it."""

    alert: Alert
    verdict: str
    """``dismissed`` or ``confirmed``; empty while nobody has said anything."""
    who: str
    why: str
    at: int
    """When it was said, in microseconds since 1970."""
    place: int
    """Its place in the order in which alerts were opened."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts are asked for; an attribute that is None asks for all."""

    level: Level | None = None
    """The lowest."""
    cluster: str | None = None
    actor: str | None = None
    rule: str | None = None
    """Id or title."""
    status: str | None = None
    """``open`` or ``closed``."""
    verdict: str | None = None
    """``dismissed``, ``confirmed``, or empty."""
    since: int | None = None
    """The earliest time at which an alert was last seen, in microseconds."""
    before: int | None = None
    """The `StoredAlert.place` of the last alert on the page before."""


_MEANING = {
    "level": "level >= :level",
    "cluster": "cluster = :cluster",
    "actor": "actor = :actor",
    "rule": "(rule = :rule OR title = :rule)",
    "status": "status = :status",
    "verdict": "judgement = :verdict",
    "since": "last_seen >= :since",
    "before": "place < :before",
}


class Body(NamedTuple):
    """A revision of an alert as JSON, as it lies in its table."""

    id: int
    size: int
    """Bytes."""


def write_body(connection: sqlite3.Connection, body: bytes) -> Body:
    """Write a revision as JSON, once for all who refer to it.

    It goes with the last row of alerts or outbox that refers to it (triggers see to that), or by `drop_unused`.
    """
    number = connection.execute("INSERT INTO alert_bodies (body) VALUES (?)", (body,)).lastrowid
    return Body(number or 0, len(body))


def drop_unused(connection: sqlite3.Connection, bodies: Iterable[Body]) -> None:
    """Delete those of these bodies that nothing came to refer to."""
    connection.execute(_UNUSED, (json.dumps([body.id for body in bodies]),))


def store(connection: sqlite3.Connection, alert: Alert, body: Body) -> None:
    """Write an alert, unless a later revision of it is there."""
    row = (alert.id, alert.revision, alert.status, alert.level, alert.rule.id, alert.title)
    connection.execute(_STORE, (*row, alert.cluster, alert.actor, alert.last_seen, body.id))


def judge(connection: sqlite3.Connection, verdict: Verdict) -> None:
    """Write a verdict; one on an alert that is no longer kept is forgotten."""
    connection.execute(
        "UPDATE alerts SET judgement = ?, who = ?, why = ?, judged_at = ? WHERE id = ?",
        (verdict.judgement, verdict.who, verdict.why, verdict.at, verdict.alert),
    )


def find(connection: sqlite3.Connection, wanted: Wanted, limit: int) -> list[StoredAlert]:
    """Give alerts, those opened last first."""
    given = {name: value for name in _MEANING if (value := getattr(wanted, name)) is not None}
    where = " AND ".join(_MEANING[name] for name in given) or "TRUE"
    query = f"{_FIND} WHERE {where} ORDER BY place DESC LIMIT :limit"
    return [_stored(*row) for row in connection.execute(query, {**given, "limit": limit})]


def get(connection: sqlite3.Connection, name: str) -> StoredAlert | None:
    """Give one alert by its id."""
    row = connection.execute(f"{_FIND} WHERE alerts.id = ?", (name,)).fetchone()
    return None if row is None else _stored(*row)


def expire(connection: sqlite3.Connection, before: int) -> int:
    """Delete some closed alerts last seen before a time, and the oldest of those too many; gives how many."""
    (count,) = connection.execute("SELECT count(*) FROM alerts").fetchone()
    going = connection.execute(_OLD, (before, AT_ONCE)).fetchall()
    if not going and count > MOST:
        going = connection.execute(_EXCESS, (min(count - MOST, AT_ONCE),)).fetchall()
    connection.executemany("DELETE FROM alerts WHERE place = ?", going)
    return len(going)


def _stored(body: bytes, verdict: str, who: str, why: str, at: int, place: int) -> StoredAlert:
    return StoredAlert(alert=_decode(body), verdict=verdict, who=who, why=why, at=at, place=place)
