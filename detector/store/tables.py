"""The tables of the state."""

from __future__ import annotations

from detector.store.migrate import Schema

EMITTED = "emitted_offset"
"""The key of the newest offset of which all alerts are stored."""

_DROP_BODY = """
    DELETE FROM alert_bodies WHERE id = old.body
        AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.body = alert_bodies.id)
        AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.body = alert_bodies.id);"""
_ADD_TO_SUMS = """
    INSERT INTO outbox_sums (sink, buried, rows, bytes) VALUES (new.sink, new.buried_at IS NOT NULL, 1, new.size)
        ON CONFLICT (sink, buried) DO UPDATE SET rows = rows + 1, bytes = bytes + excluded.bytes;"""
_TAKE_FROM_SUMS = """
    UPDATE outbox_sums SET rows = rows - 1, bytes = bytes - old.size
        WHERE sink = old.sink AND buried = (old.buried_at IS NOT NULL);"""

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
        # The body of a revision is kept once, for the alert and for all sinks that are to hear of it.
        (
            "ALTER TABLE alert_bodies RENAME COLUMN place TO id",
            "ALTER TABLE alerts ADD COLUMN body INTEGER NOT NULL DEFAULT 0",
            "UPDATE alerts SET body = place",
            "CREATE INDEX alerts_body ON alerts (body)",
            "ALTER TABLE outbox RENAME COLUMN body TO copied",
            "ALTER TABLE outbox ADD COLUMN body INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE outbox ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
            """UPDATE outbox SET size = length(copied), body = coalesce((
                SELECT alert_bodies.id FROM alerts JOIN alert_bodies ON alert_bodies.id = alerts.body
                WHERE alerts.id = outbox.alert AND alert_bodies.body = outbox.copied), 0)""",
            # What is left are older revisions: each gets a body, which has the number of the first row that has it.
            "DROP INDEX outbox_order",
            "CREATE INDEX outbox_order ON outbox (alert, sink, id, due_at, buried_at)",
            """UPDATE outbox SET body = (SELECT coalesce(max(id), 0) FROM alert_bodies) + (
                SELECT min(same.id) FROM outbox AS same WHERE same.alert = outbox.alert AND same.copied = outbox.copied)
                WHERE body = 0""",
            "INSERT OR IGNORE INTO alert_bodies (id, body) SELECT body, copied FROM outbox",
            "ALTER TABLE outbox DROP COLUMN copied",
            "CREATE INDEX outbox_body ON outbox (body)",
            "DROP INDEX outbox_buried",
            "CREATE INDEX outbox_buried ON outbox (sink, id) WHERE buried_at IS NOT NULL",
            # How much waits, and how much is buried, so that a bound costs no counting. `displaced` counts the rows
            # that had to go because they were too many: from what waits to what is buried, and from there for good.
            """CREATE TABLE outbox_sums (
                sink TEXT NOT NULL,
                buried INTEGER NOT NULL,
                rows INTEGER NOT NULL,
                bytes INTEGER NOT NULL,
                displaced INTEGER NOT NULL DEFAULT 0,
                PRIMARY KEY (sink, buried)
            ) STRICT, WITHOUT ROWID""",
            """INSERT INTO outbox_sums (sink, buried, rows, bytes)
                SELECT sink, buried_at IS NOT NULL, count(*), sum(size) FROM outbox GROUP BY 1, 2""",
            # Of which sink they were was not written down then.
            """INSERT INTO outbox_sums
                SELECT '', TRUE, 0, 0, CAST(value AS INTEGER) FROM meta WHERE key = 'lost_deliveries'""",
            "DELETE FROM meta WHERE key = 'lost_deliveries'",
            f"CREATE TRIGGER outbox_added AFTER INSERT ON outbox BEGIN {_ADD_TO_SUMS} END",
            f"CREATE TRIGGER outbox_removed AFTER DELETE ON outbox BEGIN {_TAKE_FROM_SUMS} {_DROP_BODY} END",
            f"""CREATE TRIGGER outbox_moved AFTER UPDATE OF buried_at ON outbox
                WHEN (old.buried_at IS NULL) <> (new.buried_at IS NULL) BEGIN {_TAKE_FROM_SUMS} {_ADD_TO_SUMS} END""",
            f"CREATE TRIGGER alerts_removed AFTER DELETE ON alerts BEGIN {_DROP_BODY} END",
            f"""CREATE TRIGGER alerts_changed AFTER UPDATE OF body ON alerts WHEN old.body <> new.body
                BEGIN {_DROP_BODY} END""",
        ),
    ),
)
"""Alerts and suppressions are kept as JSON; times are microseconds since 1970. What has run is not edited: migrate."""
