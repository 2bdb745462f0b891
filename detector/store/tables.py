"""The tables of the state."""

from __future__ import annotations

from detector.store.migrate import Schema

EMITTED = "emitted_offset"
"""The key of the newest offset of which all alerts are stored."""

STATE = Schema(
    name="state",
    application_id=0x72737374,  # "rsst"
    page_size=8_192,
    migrations=(
        (
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
            # The bodies lie apart, so that going through all alerts touches few pages.
            """CREATE TABLE alerts (
                place INTEGER PRIMARY KEY,
                id TEXT NOT NULL UNIQUE,
                revision INTEGER NOT NULL,
                status TEXT NOT NULL,
                level INTEGER NOT NULL,
                rule TEXT NOT NULL,
                title TEXT NOT NULL,
                cluster TEXT NOT NULL,
                actor TEXT NOT NULL,
                last_seen INTEGER NOT NULL,
                judgement TEXT NOT NULL DEFAULT '',
                who TEXT NOT NULL DEFAULT '',
                why TEXT NOT NULL DEFAULT '',
                judged_at INTEGER NOT NULL DEFAULT 0
            ) STRICT""",
            "CREATE TABLE alert_bodies (place INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
            # AUTOINCREMENT: the number of a delivery that is under way must not come to mean another.
            """CREATE TABLE outbox (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                sink TEXT NOT NULL,
                alert TEXT NOT NULL,
                created_at INTEGER NOT NULL,
                due_at INTEGER NOT NULL,
                tries INTEGER NOT NULL DEFAULT 0,
                error TEXT NOT NULL DEFAULT '',
                buried_at INTEGER,
                body BLOB NOT NULL
            ) STRICT""",
            "CREATE INDEX outbox_waiting ON outbox (sink, id, due_at, created_at) WHERE buried_at IS NULL",
            "CREATE INDEX outbox_order ON outbox (sink, alert, id, due_at) WHERE buried_at IS NULL",
            "CREATE INDEX outbox_buried ON outbox (id) WHERE buried_at IS NOT NULL",
            """CREATE TABLE dead_letters (
                id INTEGER PRIMARY KEY,
                kind TEXT NOT NULL,
                sha256 TEXT NOT NULL,
                cluster TEXT NOT NULL,
                reason TEXT NOT NULL,
                length INTEGER NOT NULL,
                peer TEXT NOT NULL,
                position INTEGER,
                first_at INTEGER NOT NULL,
                last_at INTEGER NOT NULL,
                count INTEGER NOT NULL DEFAULT 1,
                body BLOB,
                UNIQUE (kind, sha256)
            ) STRICT""",
            "CREATE TABLE suppressions (id TEXT PRIMARY KEY, until INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
        ),
    ),
)
"""Alerts and suppressions are kept as JSON; times are microseconds since 1970."""
