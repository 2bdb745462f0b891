"""The data directory: one user at a time, and never a silent start from nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from detector.errors import InUseError, StoreError, StoreFullError
from detector.store.deliveries import Message
from detector.store.directory import Lock, Store
from tests.store.making import NOW, WAIT, alert, append, small_disk


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


def fill(directory: Path, entries: int = 3) -> None:
    """Make a store that has been used."""
    with Store(directory) as store:
        for number in range(entries):
            append(store.journal, at=NOW + number)
            store.state.emit(number, [alert(str(number))], [Message("siem", 0)]).result(WAIT)
        store.snapshots.add(entries - 2, b"snapshot")


def test_a_store_is_made_and_that_is_told(directory: Path) -> None:
    with Store(directory) as store:
        assert store.created
    with Store(directory) as store:
        assert not store.created


def test_everything_in_it_is_for_the_owner_only(directory: Path) -> None:
    with Store(directory) as store:
        append(store.journal)
        store.state.emit(0, [alert()], []).result(WAIT)
        store.snapshots.add(0, b"snapshot")
        modes = {path.stat().st_mode & 0o777 for path in directory.rglob("*") if path.is_file()}
        assert modes == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700


def test_limits_are_handed_on(directory: Path) -> None:
    with Store(directory, journal_limit=1 << 20, journal_keep=5, alerts_keep=7) as store:
        assert (store.journal.limit, store.journal.keep, store.state.keep) == (1 << 20, 5, 7)


def test_a_second_daemon_is_refused_with_the_number_of_the_first(directory: Path) -> None:
    with Store(directory), pytest.raises(StoreError, match=f"in use by another redshank .process {os.getpid()}"):
        Store(directory)
    with Store(directory):
        pass


def test_the_lock_is_free_when_its_holder_was_killed(directory: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from detector.store.directory import Store\n"
        "with Store(Path(sys.argv[1])): print('ready', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        with pytest.raises(StoreError, match=f"process {holder.pid}"):
            Store(directory)
        holder.send_signal(signal.SIGKILL)
    with Store(directory) as store:
        assert not store.created


def test_a_refused_start_frees_the_lock(directory: Path) -> None:
    fill(directory)
    (directory / "journal.db").unlink()
    with pytest.raises(StoreError, match=r"lost journal\.db"):
        Store(directory)
    with closing(Lock(directory / "lock")):
        pass


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["journal.db"], "lost journal.db"),
        (["state.db"], "lost state.db"),
        (["journal.db", "state.db"], "lost state.db and journal.db"),
        (["state.db", "snapshots"], "lost state.db"),
        (["journal.db", "snapshots"], "lost journal.db"),
    ],
)
def test_what_has_gone_is_missed_and_not_made_anew(directory: Path, gone: list[str], said: str) -> None:
    fill(directory)
    for name in gone:
        path = directory / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = sorted(directory.rglob("*"))
    with pytest.raises(StoreError, match=f"{said}, though other parts are there: restore a backup"):
        Store(directory)
    assert [
        path for path in sorted(directory.rglob("*")) if path.name not in {"state.db-wal", "state.db-shm"}
    ] == before


@pytest.mark.parametrize("name", ["journal.db", "state.db"])
@pytest.mark.parametrize("damage", [b"", b"\0" * 100_000])
def test_a_damaged_database_is_refused_and_left_as_it_is(directory: Path, name: str, damage: bytes) -> None:
    fill(directory)
    (directory / name).write_bytes(damage)
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        Store(directory)
    assert (directory / name).read_bytes() == damage


def test_a_start_that_was_killed_between_the_files_is_no_loss(directory: Path) -> None:
    with Store(directory):
        pass
    (directory / "journal.db").unlink()
    with Store(directory) as store:
        assert append(store.journal).offset == 0


@pytest.mark.parametrize("ahead", ["state", "snapshot"])
def test_a_journal_older_than_the_rest_is_refused(directory: Path, tmp_path: Path, ahead: str) -> None:
    fill(directory)
    shutil.copy(directory / "journal.db", tmp_path / "journal.db")
    with Store(directory) as store:
        append(store.journal)
        if ahead == "state":
            store.state.emit(3, [], []).result(WAIT)
        else:
            store.snapshots.add(3, b"snapshot")
    shutil.copy(tmp_path / "journal.db", directory / "journal.db")
    with pytest.raises(StoreError, match="ends at offset 2, but 3 was reached before"):
        Store(directory)


def test_a_directory_that_cannot_be_made_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/data: Not a directory"):
        Store(tmp_path / "file" / "data")


def test_a_first_start_on_a_full_disk_leaves_nothing_that_stands_in_the_way(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(48 << 10))
        with pytest.raises(StoreFullError):
            Store(disk / "data")
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True, capture_output=True)
        with Store(disk / "data") as store:
            assert store.journal.last == -1


def test_a_disk_that_hangs_holds_up_no_stop_and_keeps_the_lock(tmp_path: Path) -> None:
    store, gate = Store(tmp_path), threading.Event()
    for writer in (store.journal._writer, store.state._writer):
        writer.submit(lambda _: gate.wait(WAIT))
    with pytest.raises(StoreError, match="the disk has not answered"):
        store.close(0.05)
    with pytest.raises(InUseError):  # what hangs may yet be written: nobody else may write meanwhile
        Lock(tmp_path / "lock")
    gate.set()
    store.close()
    Lock(tmp_path / "lock").close()
