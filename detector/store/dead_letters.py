"""Dead letters: what could not be read, and deliveries that failed for good."""

from __future__ import annotations

import sqlite3

import msgspec

MOST = 10_000
"""Bodies and items kept; beyond that the oldest go."""
MOST_PENDING = 1_000
"""Bodies and items that wait to be written."""
LONGEST_BODY = 4_096
"""Bytes kept of an item."""
LONGEST_TEXT = 1_000
"""Characters kept of a reason."""

_ADD = """
    INSERT INTO dead_letters (kind, sha256, cluster, reason, length, peer, position, first_at, last_at, body)
    VALUES (:kind, :sha256, :cluster, :reason, :length, :peer, :position, :first_at, :last_at, :body)
    ON CONFLICT (kind, sha256) DO UPDATE SET
        count = count + 1, last_at = max(last_at, excluded.last_at), peer = excluded.peer"""
_BODIES = """
    SELECT id, kind, cluster, reason, sha256, length, peer, position, count, first_at, last_at, body, '', ''
    FROM dead_letters WHERE :kind IS NULL OR kind = :kind ORDER BY last_at DESC LIMIT :limit"""
_DELIVERIES = """
    SELECT id, 'delivery', '', error, '', size, '', NULL, tries, created_at, buried_at, NULL, sink, alert
    FROM outbox WHERE buried_at IS NOT NULL ORDER BY buried_at DESC LIMIT :limit"""


class DeadLetter(msgspec.Struct, frozen=True):
    """One of them. Times are microseconds since 1970."""

    id: int
    """Among those of its kind."""
    kind: str
    """``body`` (a request that could not be read), ``item`` (of a list of events) or ``delivery``."""
    cluster: str
    reason: str
    sha256: str
    length: int
    """Bytes."""
    peer: str
    position: int | None
    """The byte at which reading failed."""
    count: int
    """How often it came; of a delivery, how often it was tried."""
    first_at: int
    last_at: int
    body: bytes | None
    sink: str
    alert: str


def add(connection: sqlite3.Connection, letter: DeadLetter) -> None:
    """Keep a body or an item; what is there already is counted."""
    values = msgspec.structs.asdict(letter)
    for name in ("cluster", "reason", "peer"):
        values[name] = plain(values[name])
    values["body"] = None if letter.body is None else letter.body[:LONGEST_BODY]
    connection.execute(_ADD, values)
    # Numbers have no gaps, as nothing else is deleted here; so this needs no counting.
    connection.execute("DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?", (MOST,))


def find(connection: sqlite3.Connection, kind: str | None, limit: int) -> list[DeadLetter]:
    """Give the newest, of one kind or of all."""
    found: list[DeadLetter] = []
    if kind != "delivery":
        found += _read(connection, _BODIES, {"kind": kind, "limit": limit})
    if kind in {None, "delivery"}:
        found += _read(connection, _DELIVERIES, {"limit": limit})
    return sorted(found, key=lambda letter: letter.last_at, reverse=True)[:limit]


def _read(connection: sqlite3.Connection, query: str, values: dict[str, object]) -> list[DeadLetter]:
    return [DeadLetter(*row) for row in connection.execute(query, values)]


def plain(text: str) -> str:
    """Give a text as SQLite can hold it, cut to `LONGEST_TEXT`."""
    return text[:LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()
