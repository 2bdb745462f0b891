"""Checks, online backup, restore."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from detector.errors import StoreError
from detector.store import checks, maintenance
from detector.store.checks import check
from detector.store.database import copy
from detector.store.deliveries import Message
from detector.store.directory import Store
from detector.store.entry import JOURNAL, Entry
from detector.store.maintenance import backup, restore
from detector.store.reader import JournalReader
from detector.store.tables import STATE
from tests.store.making import NOW, WAIT, alert, append


def fill(store: Store, entries: int = 10) -> None:
    """Have a store take in batches of one alert each, with a snapshot every third."""
    for number in range(store.journal.last + 1, store.journal.last + 1 + entries):
        append(store.journal, f"body {number}".encode(), at=NOW + number)
        store.state.emit(number, [alert(str(number))], [Message("siem", 0)]).result(WAIT)
        if number % 3 == 0:
            store.snapshots.add(number, f"snapshot {number}".encode())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("store") / "data"
    with Store(directory) as store:
        fill(store)
    return directory


@pytest.fixture
def directory(filled: Path, tmp_path: Path) -> Path:
    """A store of ten entries that nobody uses."""
    return shutil.copytree(filled, tmp_path / "data")


def spoil(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def overwrite(path: Path, start: int = 40_000, length: int = 2_000) -> None:
    """Damage the file as a disk does."""
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\xa5" * length
    path.write_bytes(content)


# Checks.


@pytest.mark.parametrize("quick", [False, True])
def test_a_sound_store_is_found_sound(directory: Path, quick: bool) -> None:
    report = check(directory, quick=quick)
    journal, state, snapshots = report.parts
    assert report.problems == []
    assert journal.counts == {"first_offset": 0, "last_offset": 9, "entries": 10, "events": 10}
    assert state.counts["emitted_offset"] == 9
    assert (state.counts["alerts"], state.counts["outbox"], state.counts["failed_deliveries"]) == (10, 10, 0)
    assert snapshots.counts == {"snapshots": 3, "newest_offset": 9}
    assert (journal.version, state.version) == (JOURNAL.version, STATE.version)


def test_a_store_in_use_can_be_checked(directory: Path) -> None:
    with Store(directory) as store:
        fill(store)
        report = check(directory)
    assert report.problems == []
    assert report.parts[0].counts["entries"] == 20


def test_a_check_writes_nothing(directory: Path) -> None:
    shutil.rmtree(directory / "snapshots")
    before = {path: path.read_bytes() for path in directory.iterdir()}
    check(directory)
    after = {path: path.read_bytes() for path in directory.iterdir() if not path.name.endswith(("-shm", "-wal"))}
    assert after == before


def test_where_nothing_was_stored_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no store"):
        check(tmp_path)


@pytest.mark.parametrize(
    ("file", "statement", "said"),
    [
        ("journal.db", "UPDATE entries SET body = x'00' WHERE \"offset\" = 4", "body of entry 4"),
        ("journal.db", 'DELETE FROM entries WHERE "offset" = 4', "some are missing"),
        ("journal.db", 'DELETE FROM entries WHERE "offset" > 4', "ends at offset 4, but 9 was reached"),
        ("journal.db", "PRAGMA user_version = 99", "newer redshank"),
        ("journal.db", "PRAGMA application_id = 99", "not the journal of redshank"),
        ("state.db", "UPDATE alert_bodies SET body = '{}'", "an alert cannot be read"),
        ("state.db", "DELETE FROM alert_bodies WHERE id = 4", "it has 2 alerts or deliveries without a body"),
        ("state.db", "UPDATE outbox_sums SET bytes = bytes + 1", "it has 1 sinks whose deliveries are not as many"),
        ("state.db", "DROP TABLE outbox", "no such table"),
    ],
)
def test_what_is_wrong_is_found(directory: Path, file: str, statement: str, said: str) -> None:
    spoil(directory / file, statement.replace("'{}'", "x'7b7d'"))
    assert any(said in problem for problem in check(directory).problems)


def test_a_quick_check_finds_gaps(directory: Path) -> None:
    spoil(directory / "journal.db", 'DELETE FROM entries WHERE "offset" = 4')
    assert check(directory, quick=True).problems == ["the journal has gaps"]


@pytest.mark.parametrize("file", ["journal.db", "state.db"])
def test_a_missing_database_is_found(directory: Path, file: str) -> None:
    (directory / file).unlink()
    assert any(file in problem for problem in check(directory).problems)
    assert not (directory / file).exists()


def test_overwritten_pages_are_found(directory: Path) -> None:
    overwrite(directory / "state.db")
    assert any("state.db is damaged" in problem for problem in check(directory).problems)


def test_a_damaged_snapshot_is_found(directory: Path) -> None:
    path = directory / "snapshots" / f"{9:020d}.snap"
    path.write_bytes(b"x")
    assert check(directory).problems == [f"{path} is damaged: delete it, an older one will do"]


def test_a_journal_pruned_beyond_the_last_snapshot_is_found(directory: Path) -> None:
    spoil(directory / "journal.db", 'DELETE FROM entries WHERE "offset" < 5')
    assert check(directory).problems == []
    shutil.rmtree(directory / "snapshots")
    assert "begins at offset 5, but the newest snapshot is of -1" in check(directory).problems[0]


def test_pruning_during_a_check_is_no_damage(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(JournalReader):
        def after(self, offset: int, max_bytes: int = 8 << 20) -> list[Entry]:
            entries = super().after(offset, 1)
            if offset == 1:
                spoil(self.path, 'DELETE FROM entries WHERE "offset" < 7')
            return entries

    monkeypatch.setattr(checks, "JournalReader", Slow)
    assert check(directory).problems == []


# Backup and restore.


def test_a_backup_is_the_whole_store(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    assert check(tmp_path / "backup").problems == []
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == ["journal.db", "snapshots", "state.db"]
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "backup").rglob("*")}
    assert modes == {0o600, 0o700}
    with Store(tmp_path / "backup") as store:
        assert (store.journal.last, store.state.emitted_offset) == (9, 9)
        assert store.snapshots.newest() == (9, b"snapshot 9")
        assert [one.alert.id for one in store.state.alerts(limit=2)] == ["9", "8"]


def test_backups_under_load_are_consistent(tmp_path: Path) -> None:
    stop = threading.Event()
    with Store(tmp_path / "data", journal_keep=0) as store:
        fill(store)

        def load() -> None:
            while not stop.is_set():
                fill(store, 1)
                store.journal.prune(store.snapshots.oldest() or -1).result(WAIT)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for number in range(8):
                backup(tmp_path / "data", tmp_path / f"backup {number}")
        finally:
            stop.set()
            thread.join(WAIT)
    for number in range(8):
        report = check(tmp_path / f"backup {number}")
        assert report.problems == []
        journal, state, snapshots = (part.counts for part in report.parts)
        assert snapshots["newest_offset"] <= state["emitted_offset"] <= journal["last_offset"]


def test_a_backup_is_of_the_moment_at_which_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "data") as store:
        fill(store)

        def slow(source: sqlite3.Connection, target: Path) -> None:
            fill(store, 3)
            copy(source, target)

        monkeypatch.setattr(maintenance, "copy", slow)
        backup(tmp_path / "data", tmp_path / "backup")
    journal, state, snapshots = (part.counts for part in check(tmp_path / "backup").parts)
    assert (journal["last_offset"], state["emitted_offset"], snapshots["newest_offset"]) == (9, 9, 9)


def test_a_backup_takes_no_snapshot_of_what_is_not_yet_stored(directory: Path, tmp_path: Path) -> None:
    spoil(directory / "state.db", "UPDATE meta SET value = '8' WHERE key = 'emitted_offset'")
    backup(directory, tmp_path / "backup")
    assert check(tmp_path / "backup").parts[2].counts == {"snapshots": 1, "newest_offset": 6}


def test_a_backup_that_would_have_a_gap_is_refused(directory: Path, tmp_path: Path) -> None:
    spoil(directory / "journal.db", 'DELETE FROM entries WHERE "offset" < 9')
    spoil(directory / "state.db", "UPDATE meta SET value = '8' WHERE key = 'emitted_offset'")
    with pytest.raises(StoreError, match="try again"):
        backup(directory, tmp_path / "backup")


def test_a_backup_does_not_overwrite(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    with pytest.raises(StoreError, match="exists already"):
        backup(directory, tmp_path / "backup")


def test_half_a_store_is_not_backed_up(directory: Path, tmp_path: Path) -> None:
    (directory / "journal.db").unlink()
    with pytest.raises(StoreError, match="no whole store"):
        backup(directory, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_backup_that_fails_leaves_nothing(directory: Path, tmp_path: Path) -> None:
    (directory / "journal.db").write_bytes(b"damaged" * 1_000)
    with pytest.raises(StoreError, match="is damaged"):
        backup(directory, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_restored_store_goes_on_where_the_backup_was_made(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    shutil.rmtree(directory)
    restore(tmp_path / "backup", directory)
    assert check(directory).problems == []
    with Store(directory) as store:
        assert not store.created
        assert append(store.journal).offset == 10
    assert check(tmp_path / "backup").problems == []


def test_a_store_without_a_snapshot_can_be_restored(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        append(store.journal)
    backup(tmp_path / "data", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    with Store(tmp_path / "again") as store:
        assert store.journal.last == 0


def test_a_store_that_is_there_is_only_replaced_when_asked(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    with Store(directory) as store:
        fill(store)
    with pytest.raises(StoreError, match="holds a store already"):
        restore(tmp_path / "backup", directory)
    restore(tmp_path / "backup", directory, replace=True)
    restore(tmp_path / "backup", directory, replace=True)
    assert check(directory).parts[0].counts["last_offset"] == 9
    assert check(directory / "replaced-1").parts[0].counts["last_offset"] == 19
    assert check(directory / "replaced-2").parts[0].counts["last_offset"] == 9


def test_a_damaged_store_can_be_replaced(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    (directory / "state.db").write_bytes(b"damaged" * 1_000)
    restore(tmp_path / "backup", directory, replace=True)
    assert check(directory).problems == []
    assert (directory / "replaced-1" / "state.db").read_bytes() == b"damaged" * 1_000


def test_a_store_in_use_is_not_replaced(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    with Store(directory), pytest.raises(StoreError, match="in use by another redshank"):
        restore(tmp_path / "backup", directory, replace=True)


def test_a_damaged_backup_is_refused_before_anything_is_moved(directory: Path, tmp_path: Path) -> None:
    backup(directory, tmp_path / "backup")
    (tmp_path / "backup" / "state.db").write_bytes(b"damaged" * 1_000)
    with pytest.raises(StoreError, match="the backup cannot be used"):
        restore(tmp_path / "backup", directory, replace=True)
    assert check(directory).problems == []
    assert not (directory / "replaced-1").exists()


def test_the_log_of_a_killed_daemon_is_part_of_the_backup(directory: Path, tmp_path: Path) -> None:
    with Store(directory) as store:
        fill(store)
        shutil.copytree(directory, tmp_path / "killed")
    assert (tmp_path / "killed" / "journal.db-wal").stat().st_size > 0
    backup(tmp_path / "killed", tmp_path / "backup")
    assert check(tmp_path / "backup").parts[0].counts["last_offset"] == 19
