"""Reading the journal while it is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.errors import StoreError
from detector.store.journal import Journal
from detector.store.reader import JournalReader
from tests.store.making import NOW, WAIT, append


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.db", keep=0)) as opened:
        yield opened


@pytest.fixture
def reader(journal: Journal) -> Iterator[JournalReader]:
    with closing(JournalReader(journal.path)) as opened:
        yield opened


def offsets(reader: JournalReader, after: int, max_bytes: int = 8 << 20) -> list[int]:
    return [entry.offset for entry in reader.after(after, max_bytes)]


def spoil(path: Path, statement: str) -> None:
    """Change the journal behind its writer's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_an_empty_journal_has_nothing(reader: JournalReader) -> None:
    assert (reader.first, reader.last, reader.after(-1)) == (0, -1, [])


def test_a_reader_sees_what_was_appended_since(journal: Journal, reader: JournalReader) -> None:
    append(journal)
    assert offsets(reader, -1) == [0]
    append(journal)
    assert (offsets(reader, 0), offsets(reader, 1)) == ([1], [])
    assert (reader.first, reader.last) == (0, 1)


def test_it_stops_at_so_many_bytes_but_gives_at_least_one(journal: Journal, reader: JournalReader) -> None:
    for _ in range(4):
        append(journal, b"x" * 1_000)
    assert offsets(reader, -1, 1) == [0]
    assert offsets(reader, -1, 1_001) == [0, 1]
    assert offsets(reader, 1, 1 << 20) == [2, 3]


def test_what_was_pruned_is_missed_and_not_passed_over(journal: Journal, reader: JournalReader) -> None:
    for number in range(5):
        append(journal, at=NOW + number)
    assert journal.prune(2).result(WAIT) == 3
    with pytest.raises(StoreError, match="begins at 3"):
        reader.after(-1)
    assert offsets(reader, 2) == [3, 4]


def test_a_gap_is_an_error(journal: Journal, reader: JournalReader) -> None:
    for _ in range(5):
        append(journal)
    spoil(journal.path, 'DELETE FROM entries WHERE "offset" = 3')
    with pytest.raises(StoreError, match="some are missing"):
        reader.after(1)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET body = x''",
        "UPDATE entries SET body = x'28b52ffd'",
        "UPDATE entries SET body = zeroblob(30)",
        "UPDATE entries SET body = substr(body, 1, length(body) - 1)",
    ],
)
def test_a_damaged_body_is_an_error_with_advice(journal: Journal, reader: JournalReader, damage: str) -> None:
    append(journal, b"x" * 100)
    spoil(journal.path, damage)
    with pytest.raises(StoreError, match=r"body of entry 0.*restore a backup"):
        reader.after(-1)


def test_one_flipped_bit_in_a_body_is_found(journal: Journal, reader: JournalReader) -> None:
    append(journal, bytes(range(256)))
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        (body,) = connection.execute("SELECT body FROM entries").fetchone()
        spoiled = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        connection.execute("UPDATE entries SET body = ?", (spoiled,))
    with pytest.raises(StoreError, match="damaged"):
        reader.after(-1)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_reader_does_not_keep_the_log_from_being_emptied(
    journal: Journal, reader: JournalReader, damaged: bool
) -> None:
    for _ in range(10):
        append(journal, b"x" * 1_000)
    error = None
    if damaged:
        spoil(journal.path, "UPDATE entries SET body = x''")
    try:
        reader.after(-1, 1)
    except StoreError as raised:
        error = raised  # and with it all that the reader was doing
    assert (error is not None) == damaged
    busy, pages, copied = journal._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    assert (busy, pages) == (0, copied)


def test_there_must_be_a_journal(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        JournalReader(tmp_path / "journal.db")
    assert list(tmp_path.iterdir()) == []
