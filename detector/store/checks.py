"""Whether a data directory is sound; may be asked while it is in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from detector.errors import StoreError
from detector.finding import Alert
from detector.store.database import connect_read_only, explained, sizes
from detector.store.directory import Layout
from detector.store.entry import JOURNAL
from detector.store.migrate import Schema, version_of
from detector.store.reader import JournalReader
from detector.store.restoring import refuse_unfinished
from detector.store.snapshots import Snapshots
from detector.store.tables import STATE

MOST_PROBLEMS = 10
"""Problems told of one database."""

_STATE_COUNTS = {
    "emitted_offset": "SELECT coalesce((SELECT value FROM meta WHERE key = 'emitted_offset'), -1)",
    "alerts": "SELECT count(*) FROM alerts",
    "outbox": "SELECT count(*) FROM outbox WHERE buried_at IS NULL",
    "failed_deliveries": "SELECT count(*) FROM outbox WHERE buried_at IS NOT NULL",
    "lost_deliveries": "SELECT coalesce(sum(displaced), 0) FROM outbox_sums WHERE buried",
    "dead_letters": "SELECT count(*) FROM dead_letters",
    "suppressions": "SELECT count(*) FROM suppressions",
}
_STATE_FAULTS = {
    "alerts or deliveries without a body": """
        SELECT count(*) FROM (SELECT body FROM alerts UNION ALL SELECT body FROM outbox) AS one
        WHERE NOT EXISTS (SELECT 1 FROM alert_bodies WHERE alert_bodies.id = one.body)""",
    "sinks whose deliveries are not as many as were counted": """
        SELECT count(*) FROM (
            SELECT sink, buried, rows, bytes FROM outbox_sums WHERE rows OR bytes EXCEPT
            SELECT sink, buried_at IS NOT NULL, count(*), sum(size) FROM outbox GROUP BY 1, 2)""",
}
_JOURNAL_COUNTS = {
    "first_offset": 'SELECT coalesce(min("offset"), 0) FROM entries',
    "last_offset": 'SELECT coalesce(max("offset"), -1) FROM entries',
    "entries": "SELECT count(*) FROM entries",
    "events": "SELECT coalesce(sum(events), 0) FROM entries",
}


class Part(msgspec.Struct):
    """What was found of one part of a data directory."""

    path: str
    version: int = 0
    """Of the database; 0 where there is none."""
    bytes: int = 0
    counts: dict[str, int] = {}
    problems: list[str] = []


class Report(msgspec.Struct):
    """What was found of a data directory."""

    directory: str
    parts: list[Part]

    @property
    def problems(self) -> list[str]:
        """All that is wrong; nothing where it is sound."""
        return [problem for part in self.parts for problem in part.problems]


def check(directory: Path, *, quick: bool = False) -> Report:
    """Look at everything in a data directory; ``quick`` leaves out what reads every byte.

    Raises StoreError when nothing was ever stored there, and when a restore was interrupted.
    """
    layout = Layout(directory)
    refuse_unfinished(directory)
    if layout.empty():
        raise StoreError(f"{directory} holds no store of redshank: see whether it is the right directory")
    # In the order in which each may lag behind the next, while they are in use.
    snapshots = _snapshots(layout)
    state = _database(layout.state, STATE, _STATE_COUNTS, quick, _bodies_of_state)
    journal = _database(layout.journal, JOURNAL, _JOURNAL_COUNTS, quick, _bodies_of_journal)
    # What is of an older version is not counted.
    if state.counts and journal.counts and not state.problems and not journal.problems:
        journal.problems += _mismatches(snapshots.counts, state.counts, journal.counts)
    return Report(str(directory), [journal, state, snapshots])


def _database(
    path: Path,
    schema: Schema,
    counts: dict[str, str],
    quick: bool,
    bodies: Callable[[Path, sqlite3.Connection], None],
) -> Part:
    part = Part(str(path))
    try:
        with closing(connect_read_only(path)) as connection, explained(path):
            part.version = version_of(connection, path, schema)
            part.bytes = sum(sizes(connection))
            part.problems += _integrity(connection, path, quick)
            if part.version == schema.version:
                part.counts = {name: int(connection.execute(query).fetchone()[0]) for name, query in counts.items()}
                if not quick:
                    bodies(path, connection)
    except StoreError as error:
        part.problems.append(str(error))
    return part


def _integrity(connection: sqlite3.Connection, path: Path, quick: bool) -> list[str]:
    pragma = "quick_check" if quick else "integrity_check"
    found = [text for (text,) in connection.execute(f"PRAGMA {pragma}({MOST_PROBLEMS})")]
    return [] if found == ["ok"] else [f"{path} is damaged: {text}" for text in found]


def _bodies_of_state(path: Path, connection: sqlite3.Connection) -> None:
    decode = msgspec.json.Decoder(Alert).decode
    try:
        for (body,) in connection.execute("SELECT body FROM alert_bodies"):
            decode(body)
    except msgspec.DecodeError as error:
        raise StoreError(f"{path} is damaged: an alert cannot be read: {error}") from None
    for what, query in _STATE_FAULTS.items():
        (found,) = connection.execute(query).fetchone()
        if found:
            raise StoreError(f"{path} is damaged: it has {found} {what}")


def _bodies_of_journal(path: Path, _: sqlite3.Connection) -> None:
    with closing(JournalReader(path)) as reader:
        offset = reader.first - 1
        while offset < reader.last:
            try:
                offset = reader.after(offset)[-1].offset
            except StoreError:
                if reader.first <= offset + 1:
                    raise
                offset = reader.first - 1  # the daemon has pruned the journal meanwhile


def _snapshots(layout: Layout) -> Part:
    part = Part(str(layout.snapshots))
    snapshots = Snapshots(layout.snapshots)
    for offset in snapshots.offsets():
        try:
            part.bytes += len(snapshots.read(offset))
            part.counts = {"snapshots": part.counts.get("snapshots", 0) + 1, "newest_offset": offset}
        except StoreError as error:
            part.problems.append(str(error))
    return part


def _mismatches(snapshots: dict[str, int], state: dict[str, int], journal: dict[str, int]) -> list[str]:
    first, last = journal["first_offset"], journal["last_offset"]
    newest = snapshots.get("newest_offset", -1)
    reached = max(newest, state["emitted_offset"])
    problems = []
    if journal["entries"] != last - first + 1:
        problems.append("the journal has gaps")
    if last < reached:
        problems.append(f"the journal ends at offset {last}, but {reached} was reached: the parts are not of one time")
    if first > newest + 1:
        problems.append(f"the journal begins at offset {first}, but the newest snapshot is of {newest}")
    return problems
