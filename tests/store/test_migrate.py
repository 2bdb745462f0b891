"""Versions of a database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from detector.errors import StoreError
from detector.store import migrate
from detector.store.migrate import Schema, open_database, open_for_reading

FIRST = Schema("things", 7, 4096, (("CREATE TABLE things (name TEXT) STRICT", "INSERT INTO things VALUES ('one')"),))
SECOND = FIRST._replace(migrations=(*FIRST.migrations, ("ALTER TABLE things ADD COLUMN size INTEGER",)))
THIRD = SECOND._replace(migrations=(*SECOND.migrations, ("UPDATE things SET size = 1", "DELETE FROM nonesuch")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.db"


def make(path: Path, schema: Schema = FIRST) -> None:
    open_database(path, schema).close()


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM things").fetchall()


def value(path: Path, pragma: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def test_a_new_database_is_in_the_newest_version(path: Path) -> None:
    make(path, SECOND)
    assert rows(path) == [("one", None)]
    assert (value(path, "user_version"), value(path, "application_id"), value(path, "auto_vacuum")) == (2, 7, 2)
    assert value(path, "journal_mode") == "wal"
    assert [file.name for file in path.parent.iterdir()] == ["things.db"]


def test_files_are_for_the_owner_only_from_the_first_byte(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()

    def watch(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
        seen.update(file.stat().st_mode & 0o777 for file in path.parent.iterdir())
        run(connection, schema, version)
        seen.update(file.stat().st_mode & 0o777 for file in path.parent.iterdir())

    run = migrate._migrate
    monkeypatch.setattr(migrate, "_migrate", watch)
    make(path)
    assert seen == {0o600}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    make(path)
    path.chmod(0o644)
    make(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_older_database_is_migrated_and_a_copy_kept(path: Path) -> None:
    make(path)
    make(path, SECOND)
    assert rows(path) == [("one", None)]
    copy = path.with_name("things.db.version-1")
    assert rows(copy) == [("one",)]
    assert value(copy, "user_version") == 1
    assert copy.stat().st_mode & 0o777 == 0o600


def test_the_copy_holds_what_was_still_in_the_log(path: Path) -> None:
    with closing(open_database(path, FIRST)) as writing:
        writing.execute("INSERT INTO things VALUES ('two')")
        assert path.with_name("things.db-wal").stat().st_size > 0
        make(path, SECOND)
    assert rows(path.with_name("things.db.version-1")) == [("one",), ("two",)]


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    make(path, SECOND)
    with pytest.raises(StoreError, match="nonesuch"):
        make(path, THIRD)
    assert rows(path) == [("one", None)]
    assert value(path, "user_version") == 2
    make(path, SECOND)


def test_a_new_database_that_fails_leaves_none(path: Path) -> None:
    with pytest.raises(StoreError, match="nonesuch"):
        make(path, THIRD)
    assert not path.exists()
    make(path, SECOND)


def test_a_database_of_a_newer_redshank_is_refused_and_left_alone(path: Path) -> None:
    make(path, SECOND)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer redshank \(version 2, this one knows 1\)") as refusal:
        make(path)
    assert refusal.value.exit_code == 2
    with pytest.raises(StoreError, match="newer redshank"):
        open_for_reading(path, FIRST)
    assert path.read_bytes() == before


def test_readers_do_not_migrate(path: Path) -> None:
    make(path)
    with pytest.raises(StoreError, match="start redshank once"):
        open_for_reading(path, SECOND)
    assert value(path, "user_version") == 1


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be read as one" * 100])
def test_what_is_no_database_of_this_kind_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged.*move all files of the data directory away"):
        make(path)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["things.db"]


def test_a_database_of_another_kind_is_refused(path: Path) -> None:
    make(path, FIRST._replace(application_id=8))
    with pytest.raises(StoreError, match="not the things of redshank"):
        make(path)


def test_what_an_interrupted_start_left_behind_is_no_obstacle(path: Path) -> None:
    path.with_name("things.db.new").write_bytes(b"half")
    make(path)
    assert rows(path) == [("one",)]
