"""One thread, one transaction for many."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from detector.errors import StoreError, StoreFullError
from detector.store import writer as writing
from detector.store.migrate import Schema, open_database, open_for_reading
from detector.store.writer import Writer
from tests.store.making import WAIT

MANY = "WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n LIMIT 9000) INSERT INTO numbers SELECT n FROM n"
NUMBERS = Schema("numbers", 7, 4096, (("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT",),))


class Numbers:
    """A writer of numbers, and what it told SQLite."""

    def __init__(self, path: Path) -> None:
        self.connection = open_database(path, NUMBERS)
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)
        self.reading = open_for_reading(path, NUMBERS)
        self.seen: list[list[int]] = []
        self.wrong: Exception | None = None
        self.writer = Writer(self.connection, path, self.committed)
        self.gate = threading.Event()

    def block(self) -> None:
        """Keep the writer busy with a transaction until the gate opens."""
        busy = threading.Event()

        def wait(_: sqlite3.Connection) -> bool:
            busy.set()
            return self.gate.wait(WAIT)

        self.writer.submit(wait)
        assert busy.wait(WAIT)

    def add(self, number: int) -> Future[None]:
        return self.writer.submit(lambda connection: insert(connection, number))

    def committed(self, _: sqlite3.Connection) -> None:
        self.seen.append(self.stored())
        if self.wrong:
            raise self.wrong

    def stored(self) -> list[int]:
        return [number for (number,) in self.reading.execute("SELECT number FROM numbers ORDER BY number")]

    def close(self) -> None:
        self.gate.set()
        self.writer.close(WAIT)
        self.reading.close()


def insert(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("INSERT INTO numbers VALUES (?)", (number,))


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[Numbers]:
    made = Numbers(tmp_path / "numbers.db")
    yield made
    made.close()


def test_what_comes_during_a_commit_shares_the_next(numbers: Numbers) -> None:
    numbers.block()
    futures = [numbers.add(number) for number in range(100)]
    numbers.gate.set()
    for future in futures:
        future.result(WAIT)
    assert numbers.statements.count("COMMIT") == 2
    assert numbers.stored() == list(range(100))


def test_a_future_resolves_only_after_commit(numbers: Numbers) -> None:
    future = numbers.add(1)
    future.add_done_callback(lambda _: numbers.seen.append([-1]))
    future.result(WAIT)
    numbers.add(2).result(WAIT)
    assert numbers.seen == [[1], [-1], [1, 2]]


def test_one_that_fails_costs_no_other(numbers: Numbers) -> None:
    def half(connection: sqlite3.Connection) -> None:
        insert(connection, 50)
        raise RuntimeError("no")

    numbers.block()
    before, failing, twice, after = numbers.add(1), numbers.writer.submit(half), numbers.add(1), numbers.add(2)
    numbers.gate.set()
    before.result(WAIT)
    after.result(WAIT)
    with pytest.raises(RuntimeError, match="no"):
        failing.result(WAIT)
    with pytest.raises(StoreError, match="UNIQUE"):
        twice.result(WAIT)
    assert numbers.stored() == [1, 2]


def test_when_the_whole_transaction_is_lost_everybody_hears_so(numbers: Numbers) -> None:
    def give_up(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    numbers.block()
    futures = [numbers.add(1), numbers.writer.submit(give_up), numbers.add(2)]
    numbers.gate.set()
    for future in futures:
        with pytest.raises(StoreError, match="disk I/O error"):
            future.result(WAIT)
    assert numbers.stored() == []
    numbers.add(3).result(WAIT)
    assert numbers.stored() == [3]


def test_a_transaction_that_cannot_be_finished_is_taken_back(numbers: Numbers) -> None:
    numbers.block()
    other = numbers.add(1)
    breaking = numbers.writer.submit(lambda connection: connection.execute("RELEASE job").rowcount)
    numbers.gate.set()
    with pytest.raises(StoreError, match="no such savepoint"):
        breaking.result(WAIT)
    with pytest.raises(StoreError, match="no such savepoint"):
        other.result(WAIT)
    numbers.add(2).result(WAIT)
    assert numbers.stored() == [2]


def test_what_finds_no_room_is_told_so_and_later_there_is_room(numbers: Numbers) -> None:
    numbers.add(1).result(WAIT)
    (pages,) = numbers.reading.execute("PRAGMA page_count").fetchone()
    numbers.connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreFullError):
        numbers.writer.submit(lambda connection: connection.execute(MANY).rowcount).result(WAIT)
    assert numbers.stored() == [1]
    numbers.connection.execute("PRAGMA max_page_count=1000000")
    numbers.add(2).result(WAIT)
    assert numbers.stored() == [1, 2]


def test_preparing_is_done_outside_the_transaction_and_may_fail_alone(numbers: Numbers) -> None:
    inside: list[bool] = []

    def fail() -> None:
        raise RuntimeError("not prepared")

    numbers.block()
    prepared = numbers.writer.submit(
        lambda connection: insert(connection, 1), prepare=lambda: inside.append(numbers.connection.in_transaction)
    )
    failing = numbers.writer.submit(lambda connection: insert(connection, 2), prepare=fail)
    numbers.gate.set()
    prepared.result(WAIT)
    with pytest.raises(RuntimeError, match="not prepared"):
        failing.result(WAIT)
    assert inside == [False]
    assert numbers.stored() == [1]


def test_what_is_cancelled_before_its_turn_is_not_done(numbers: Numbers) -> None:
    numbers.block()
    cancelled, other = numbers.add(1), numbers.add(2)
    assert cancelled.cancel()
    numbers.gate.set()
    other.result(WAIT)
    assert numbers.stored() == [2]


def test_a_transaction_is_bounded(numbers: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "GROUP", 10)
    numbers.block()
    futures = [numbers.add(number) for number in range(25)]
    numbers.gate.set()
    for future in futures:
        future.result(WAIT)
    assert numbers.statements.count("COMMIT") == 4


def test_closing_does_what_was_submitted_and_takes_no_more(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "numbers.db")
    numbers.block()
    futures = [numbers.add(number) for number in range(5)]
    numbers.close()
    assert [future.result(0) for future in futures] == [None] * 5
    with pytest.raises(StoreError, match="closed"):
        numbers.add(6).result(WAIT)
    numbers.writer.close(WAIT)


def test_a_disk_that_hangs_does_not_hang_the_end(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "numbers.db")
    numbers.block()
    with pytest.raises(StoreError, match="has not answered"):
        numbers.writer.close(0.05)
    numbers.close()


def test_a_fault_after_a_commit_stops_nothing_and_is_told(numbers: Numbers, caplog: pytest.LogCaptureFixture) -> None:
    numbers.wrong = RuntimeError("not told")
    numbers.add(1).result(WAIT)
    numbers.add(2).result(WAIT)
    assert numbers.stored() == [1, 2]
    assert "numbers.db: after a commit: not told" in caplog.text
