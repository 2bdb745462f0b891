"""A restore that is killed at any moment leaves the old store or the new one, and never a silent start from nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from detector.entries import JournalSource
from detector.errors import StoreError
from detector.store import database, restoring
from detector.store.checks import check
from detector.store.directory import Layout, Store
from detector.store.maintenance import backup, restore
from tests.store.making import WAIT, alert, append

OLD, NEW = 8, 3
"""How many entries the store has that is replaced, and the backup."""


class Killed(BaseException):
    """The process is no more: nothing it had still to do is done."""


def make(directory: Path, entries: int, snapshot: bool = True) -> None:
    with Store(directory) as store:
        for number in range(entries):
            append(store.journal)
            store.state.emit(number, [alert(str(number))], []).result(WAIT)
        if snapshot:
            store.snapshots.add(entries - 1, f"snapshot of {entries}".encode())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup, and the store of a daemon that was killed: its logs are still to be read."""
    folder = tmp_path_factory.mktemp("stores")
    make(folder / "source", NEW)
    backup(folder / "source", folder / "backup")
    make(folder / "bare", NEW, snapshot=False)
    backup(folder / "bare", folder / "backup without a snapshot")
    with Store(folder / "running") as store:
        for number in range(OLD):
            append(store.journal)
            store.state.emit(number, [alert(str(number))], []).result(WAIT)
        store.snapshots.add(OLD - 1, f"snapshot of {OLD}".encode())
        shutil.copytree(folder / "running", folder / "data")
    assert (folder / "data" / "journal.db-wal").stat().st_size
    return folder


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "data", tmp_path / "data")


@contextmanager
def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Have the process die before it changes directories once more than so many times."""
    done: list[str] = []

    def counted(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*given: Any, **more: Any) -> Any:
            if len(done) >= steps:
                raise Killed
            done.append(name)
            return step(*given, **more)

        return wrapper

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "mkdir", "rmdir"):
            patch.setattr(Path, name, counted(name, getattr(Path, name)))
        patch.setattr(restoring, "sync_directory", counted("sync", database.sync_directory))
        yield done


def entries(directory: Path) -> int:
    """Open a store, and give how many entries all of its parts speak of."""
    with Store(directory) as store:
        assert not store.created
        number = store.journal.last + 1
        assert store.state.emitted_offset == number - 1
        assert len(store.state.alerts()) == number
        assert store.snapshots.newest() in {(number - 1, f"snapshot of {number}".encode()), None}
    assert check(directory).problems == []
    return number


def steps_of(made: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    shutil.copytree(made / "data", directory)
    with killed_after(1_000, monkeypatch) as done:
        restore(made / "backup", directory, replace=True)
    return len(done)


def test_a_restore_killed_before_any_step_leaves_the_old_store_or_the_new(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = steps_of(made, tmp_path / "whole", monkeypatch)
    assert steps > 15
    seen = []
    for step in range(steps):
        directory = shutil.copytree(made / "data", tmp_path / str(step))
        with killed_after(step, monkeypatch), pytest.raises(Killed):
            restore(made / "backup", directory, replace=True)
        seen.append(entries(directory))
        if seen[-1] == NEW:
            assert entries_of_replaced(directory) == OLD
    assert seen == sorted(seen, reverse=True), "first the old one, from some step on the new one"
    assert set(seen) == {OLD, NEW}


def entries_of_replaced(directory: Path) -> int:
    assert not (directory / restoring.WHOLE).exists()
    return entries(directory / "replaced-1")


def test_finishing_it_may_be_killed_as_well(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(made, shutil.copytree(made / "data", tmp_path / "interrupted"), monkeypatch)
    killed = 0
    for step in range(30):
        directory = shutil.copytree(tmp_path / "interrupted", tmp_path / str(step))
        try:
            with killed_after(step, monkeypatch):
                restoring.finish(directory, Layout(directory).parts)
        except Killed:
            killed += 1
        assert entries(directory) == NEW
        assert entries_of_replaced(directory) == OLD
    assert 5 < killed < 30


def interrupted(made: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, step: int = 12) -> None:
    with killed_after(step, monkeypatch), pytest.raises(Killed):
        restore(made / "backup", directory, replace=True)
    assert restoring.unfinished(directory)


def test_a_restore_finishes_the_one_before_it(made: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(made, directory, monkeypatch)
    with pytest.raises(StoreError, match="holds a store already"):
        restore(made / "backup", directory)
    assert entries(directory) == NEW
    restore(made / "backup", directory, replace=True)
    assert entries(directory / "replaced-1") == OLD
    assert entries(directory / "replaced-2") == NEW


def test_what_may_be_of_two_stores_is_not_read(made: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(made, directory, monkeypatch)
    before = sorted(path.name for path in directory.rglob("*"))
    for read in (check, JournalSource, lambda path: backup(path, path.parent / "backup")):
        with pytest.raises(StoreError, match="a restore was interrupted: start redshank serve"):
            read(directory)
    assert sorted(path.name for path in directory.rglob("*")) == before


def test_that_it_is_finished_at_the_start_is_told(
    made: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(made, directory, monkeypatch)
    Store(directory).close()
    assert "a restore was interrupted, and is being finished" in caplog.text
    caplog.clear()
    Store(directory).close()
    assert not caplog.records


def test_snapshots_of_the_old_store_do_not_stay_where_the_backup_has_none(made: Path, directory: Path) -> None:
    restore(made / "backup without a snapshot", directory, replace=True)
    assert entries(directory) == NEW
    assert list(Layout(directory).snapshots.iterdir()) == []


def test_only_the_owner_can_read_it_at_any_step(made: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(made, directory, monkeypatch)
    modes = {os.stat(path).st_mode & 0o777 for path in directory.rglob("*") if path.name not in {"lock"}}
    assert modes <= {0o600, 0o700}
