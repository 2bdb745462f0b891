"""A disk that is full, and then is not: refused while there is no room, nothing lost, and on by itself."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from detector.errors import StoreFullError
from detector.store.checks import check
from detector.store.directory import Store
from detector.store.journal import Journal
from detector.store.reader import JournalReader
from tests.store.making import NOW, WAIT, alert, append, small_disk

BODIES = [b"".join(sha256(f"{number}/{part}".encode()).digest() for part in range(1_000)) for number in range(400)]
"""Bodies of 32 kB that cannot be compressed."""


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(journal: Journal, start: int = 0) -> dict[int, bytes]:
    """Append until there is no more room; gives what was acknowledged."""
    acknowledged = {}
    for body in BODIES[start:]:
        try:
            acknowledged[append(journal, body, at=NOW + journal.last).offset] = body
        except StoreFullError:
            return acknowledged
    pytest.fail("the disk never was full")


def contents(path: Path) -> dict[int, bytes]:
    with closing(JournalReader(path)) as reader:
        return {entry.offset: entry.body for entry in reader.after(reader.first - 1, 1 << 40)}


def test_appending_goes_on_once_files_may_grow_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(Journal(path)) as journal:
        with limited_files(1 << 20):
            acknowledged = fill(journal)
            with pytest.raises(StoreFullError, match="free some space"):
                append(journal, BODIES[-1])
        assert len(acknowledged) > 10
        later = append(journal, BODIES[-1])
        assert later.offset == len(acknowledged)
        assert contents(path) == {**acknowledged, later.offset: BODIES[-1]}


@pytest.mark.parametrize("reserve", [0, 1 << 20])
def test_appending_goes_on_once_the_disk_has_room_again(tmp_path: Path, reserve: int) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(4 << 20))
        with closing(Journal(disk / "journal.db", reserve=reserve)) as journal:
            acknowledged = fill(journal)
            with pytest.raises(StoreFullError, match="free some space"):
                append(journal, BODIES[-1])
            ballast.unlink()
            acknowledged |= fill(journal, len(acknowledged))
            assert contents(journal.path) == acknowledged
        assert sorted(acknowledged) == list(range(len(acknowledged)))


def test_a_disk_smaller_than_the_limit_is_pruned_and_goes_on(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 16 << 20) as disk,
        closing(Journal(disk / "journal.db", reserve=8 << 20)) as journal,
    ):
        filled = fill(journal)
        assert journal.prune(journal.last - 3).result(WAIT) > len(filled) / 10
        more = fill(journal, len(filled))
        assert more
        assert max(filled) + 1 == min(more)


def test_the_reserve_leaves_room_for_the_state_and_a_snapshot(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16 << 20) as disk, Store(disk / "data") as store:
        store.journal.reserve = 8 << 20
        fill(store.journal)
        store.state.emit(store.journal.last, [alert(str(number)) for number in range(500)], []).result(WAIT)
        store.snapshots.add(store.journal.last, bytes(1 << 20))


def test_a_store_filled_to_the_brim_is_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        with Store(disk / "data") as store:
            store.journal.reserve = 0
            acknowledged = fill(store.journal)
        assert check(disk / "data").problems == []
        assert contents(disk / "data" / "journal.db") == acknowledged
