"""How a database is opened, and what its errors say."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from detector.errors import StoreError, StoreFullError
from detector.store import database
from detector.store.database import connect, connect_read_only, copy, explain
from detector.store.migrate import Schema, open_database
from tests.store.making import small_disk

THINGS = Schema("things", 7, 4096, (("CREATE TABLE things (name TEXT) STRICT",),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "things.db"
    open_database(made, THINGS).close()
    return made


def error_of(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (sqlite3.SQLITE_FULL, StoreFullError, "free some space"),
        (sqlite3.SQLITE_IOERR_WRITE, StoreFullError, "free some space"),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreError, "kernel's log"),
        (sqlite3.SQLITE_CORRUPT, StoreError, "restore a backup"),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreError, "restore a backup"),
        (sqlite3.SQLITE_NOTADB, StoreError, "restore a backup"),
        (sqlite3.SQLITE_READONLY, StoreError, "must be able to write"),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreError, "must be able to write"),
        (sqlite3.SQLITE_CANTOPEN, StoreError, "must be able to write"),
        (sqlite3.SQLITE_BUSY, StoreError, "another program"),
        (sqlite3.SQLITE_ERROR, StoreError, "what SQLite says"),
    ],
)
def test_errors_of_sqlite_say_what_to_do(code: int, kind: type[StoreError], said: str) -> None:
    explained = explain(error_of(code), Path("/data/journal.db"))
    assert type(explained) is kind
    assert said in str(explained)
    assert str(explained).startswith("/data/journal.db")


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, StoreFullError, "free some space"),
        (errno.EDQUOT, StoreFullError, "free some space"),
        (errno.EROFS, StoreError, "must be able to write"),
        (errno.EACCES, StoreError, "must be able to write"),
        (errno.EIO, StoreError, "Input/output error"),
    ],
)
def test_errors_of_the_system_say_what_to_do(number: int, kind: type[StoreError], said: str) -> None:
    explained = explain(OSError(number, os.strerror(number)), Path("/data/x"))
    assert type(explained) is kind
    assert said in str(explained)


def test_what_is_committed_is_on_the_disk(path: Path) -> None:
    with closing(open_database(path, THINGS)) as connection:
        values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert values == ["wal", 2]


def test_a_sqlite_that_is_too_old_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_SQLITE", (99, 0, 0))
    with pytest.raises(StoreError, match=r"too old: use a Python with SQLite 99\.0\.0"):
        connect(path)


def test_a_page_that_was_overwritten_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"\xff" * (len(content) - 200))
    with pytest.raises(StoreError, match=r"is damaged .*restore a backup"):
        connect_read_only(path)


def test_a_file_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6_000])
    with pytest.raises(StoreError, match="is damaged"):
        open_database(path, THINGS)


def test_a_writer_on_a_read_only_medium_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        path = disk / "things.db"
        open_database(path, THINGS).close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, capture_output=True)
        with pytest.raises(StoreError, match="must be able to write it and its directory"):
            open_database(path, THINGS)
        with closing(connect_read_only(path)) as connection:
            assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_must_not_be_written_is_refused(path: Path) -> None:
    path.chmod(0o400)
    with pytest.raises(StoreError, match="must be able to write it and its directory"):
        open_database(path, THINGS)


def test_a_database_that_another_program_holds_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with closing(connect(path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="held by another program"):
            open_database(path, THINGS)


def test_a_copy_is_of_one_moment_and_stands_alone(path: Path, tmp_path: Path) -> None:
    with closing(connect(path)) as writing, closing(connect_read_only(path)) as reading:
        writing.execute("INSERT INTO things VALUES ('one')")
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM things").fetchall()
        writing.execute("INSERT INTO things VALUES ('two')")
        copy(reading, tmp_path / "copy.db")
    (tmp_path / "copy.db").rename(tmp_path / "elsewhere.db")
    with closing(connect_read_only(tmp_path / "elsewhere.db")) as copied:
        assert copied.execute("SELECT * FROM things").fetchall() == [("one",)]


def test_a_copy_that_finds_no_room_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk, closing(connect(path)) as source:
        source.executemany("INSERT INTO things VALUES (?)", [("x" * 1_000,)] * 200)
        with pytest.raises(StoreFullError):
            copy(source, disk / "copy.db")
        assert list(disk.iterdir()) == []
