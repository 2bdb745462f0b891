"""The table of suppressions: a copy to list; the fold has those that count."""

from __future__ import annotations

import sqlite3

import msgspec

from detector.alerts.suppress import MAX_SUPPRESSIONS, Suppression

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Suppression).decode
_EXCESS = "DELETE FROM suppressions WHERE id NOT IN (SELECT id FROM suppressions ORDER BY until DESC LIMIT ?)"


def put(connection: sqlite3.Connection, one: Suppression) -> None:
    """Begin one, or change the one of the same id. As in the fold, too many push out those that end first."""
    connection.execute("REPLACE INTO suppressions VALUES (?, ?, ?)", (one.id, one.until, _encode(one)))
    connection.execute(_EXCESS, (MAX_SUPPRESSIONS,))


def lift(connection: sqlite3.Connection, name: str) -> None:
    """End one."""
    connection.execute("DELETE FROM suppressions WHERE id = ?", (name,))


def find(connection: sqlite3.Connection) -> list[Suppression]:
    """Give all, the one that ends first at the front."""
    return [_decode(body) for (body,) in connection.execute("SELECT body FROM suppressions ORDER BY until, id")]
