"""The daemon's side of the fold: which state it begins with, and what is kept of events that cost an error."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from detector.fold import Fold
from detector.outbox import Outbox
from detector.service import folding as module
from detector.service.folding import FoldError, Folding
from detector.service.messages import Told
from detector.store.directory import Store
from detector.store.entry import Kind
from detector.store.journal import Journal


def folding(store: Store) -> Folding:
    return Folding(store, Outbox(store.state), every=60.0, told=lambda _: None)


def filled(folder: Path, emitted: int) -> Store:
    store = Store(folder, journal_keep=0)
    for number in range(10):
        store.journal.append(Kind.tick, "", b"", received_at=number).result(30)
    if emitted >= 0:
        store.state.emit(emitted, [], []).result(30)
    for offset in (3, 6):
        fold = Fold()
        fold.offset = offset
        store.snapshots.add(offset, fold.snapshot())
    return store


@pytest.mark.parametrize(("emitted", "offset"), [(9, 6), (6, 6), (5, 3)])
def test_it_begins_with_the_newest_snapshot_whose_alerts_are_stored(tmp_path: Path, emitted: int, offset: int) -> None:
    with filled(tmp_path, emitted) as store:
        snapshot = folding(store)._snapshot()
        assert snapshot is not None
        assert Fold.restore(snapshot).offset == offset


def test_a_state_older_than_every_snapshot_begins_anew_while_the_journal_is_whole(tmp_path: Path) -> None:
    with filled(tmp_path, 1) as store:
        assert folding(store)._snapshot() is None
        assert store.journal.prune(3).result(30) == 4
        with pytest.raises(FoldError, match="restore a backup of the whole data directory"):
            folding(store)._snapshot()


def test_an_event_that_cost_an_error_is_in_the_dead_letters(tmp_path: Path) -> None:
    async def told(store: Store) -> None:
        await folding(store)._store(Told(2, failed=(("prod", "ab" * 16, "KeyError"),)))

    with filled(tmp_path, 1) as store:
        asyncio.run(told(store))
        store.state.set_meta("x", "y").result(30)
        (letter,) = store.state.dead_letters()
        assert (letter.cluster, letter.reason, letter.sha256) == ("prod", "KeyError inside redshank", "ab" * 16)


def pruned(store: Store, monkeypatch: pytest.MonkeyPatch, *, pressed: bool) -> int:
    """Make room; gives where the journal begins then."""
    monkeypatch.setattr(Journal, "pressed", pressed)
    asyncio.run(folding(store).make_room())
    return store.journal.first


@pytest.mark.parametrize(("pressed", "first"), [(False, 4), (True, 7)])
def test_where_room_is_scarce_the_newest_snapshot_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, pressed: bool, first: int
) -> None:
    with filled(tmp_path, 9) as store:
        assert pruned(store, monkeypatch, pressed=pressed) == first


@pytest.mark.parametrize(("emitted", "harmed"), [(5, 0), (9, 6)])
def test_nothing_goes_that_a_snapshot_needs_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emitted: int, harmed: int
) -> None:
    with filled(tmp_path, emitted) as store:
        if harmed:
            store.snapshots._path(harmed).write_bytes(b"harmed")
        assert pruned(store, monkeypatch, pressed=True) == 4


def test_a_stop_ends_the_pause_after_a_death_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(store: Store) -> None:
        one = folding(store)
        died = asyncio.Event()

        async def dies() -> int:
            died.set()
            return -9

        monkeypatch.setattr(one, "_once", dies)
        running = asyncio.create_task(one.run())
        await died.wait()
        await one.stop(60)
        await asyncio.wait_for(running, 60)

    monkeypatch.setattr(module, "FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 3600.0)
    with filled(tmp_path, 9) as store:
        asyncio.run(scenario(store))


def test_a_fold_that_is_given_up_leaves_nothing_open(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        one = folding(store)
        running = asyncio.create_task(one.run())
        await asyncio.wait_for(one.ready.wait(), 60)
        assert one.pid is not None
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert one.pid is None

    with filled(tmp_path, 9) as store:
        asyncio.run(scenario(store))
    gc.collect()  # what is open still would be told of here
