"""An entry that was begun three times and never ended is passed over, for whoever folds the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.entries import JournalSource, batch_body
from detector.formats import Batch
from detector.service.suspect import TRIES, Suspect
from detector.store.directory import Store
from detector.store.entry import Kind
from tests.support import secret


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "data") as one:
        for number in range(3):
            body = batch_body([secret(number)])
            one.journal.append(Kind.batch, "prod", body, received_at=number, events=1).result(30)
        yield one


def begin(suspect: Suspect, offset: int, times: int) -> Suspect:
    for _ in range(times):
        suspect.begun(offset)
    return suspect


def remembered(store: Store) -> None:
    """Wait until everything that was given to the state is on the disk."""
    store.state.set_meta("x", "y").result(30)


def passed_over(suspect: Suspect) -> bool:
    return asyncio.run(suspect.pass_over())


def batches(store: Store) -> list[Batch]:
    """Give what a replay folds."""
    return [record.body for record in JournalSource(store.journal.path.parent) if isinstance(record.body, Batch)]


def test_it_is_passed_over_in_the_journal_and_is_among_the_dead_letters(store: Store) -> None:
    assert passed_over(begin(Suspect(store), 1, TRIES))
    assert [(len(one.events), [bad.reason for bad in one.rejected]) for one in batches(store)] == [
        (1, []),
        (0, ["passed over: the fold died of it"]),
        (1, []),
    ]
    remembered(store)
    (letter,) = store.state.dead_letters()
    assert (letter.kind, letter.cluster) == ("body", "prod")
    assert letter.reason == "passed over: the fold died 3 times of entry 1 of the journal"


def test_once_it_is_passed_over_no_other_is(store: Store) -> None:
    suspect = begin(Suspect(store), 1, TRIES)
    assert passed_over(suspect)
    assert not passed_over(suspect)
    remembered(store)
    assert not passed_over(Suspect(store))


@pytest.mark.parametrize("times", [0, TRIES - 1])
def test_fewer_deaths_are_no_reason(store: Store, times: int) -> None:
    assert not passed_over(begin(Suspect(store), 1, times))


def test_deaths_at_other_entries_do_not_add_up(store: Store) -> None:
    assert not passed_over(begin(begin(Suspect(store), 1, TRIES - 1), 2, TRIES - 1))


def test_one_that_was_survived_is_no_suspect(store: Store) -> None:
    suspect = begin(Suspect(store), 1, TRIES)
    asyncio.run(suspect.survived(0))  # folded once more, on the way to it
    assert suspect.tries == TRIES
    asyncio.run(suspect.survived(1))
    assert not passed_over(suspect)
    assert not passed_over(Suspect(store))  # whatever happens to the daemon next


def test_deaths_that_take_the_daemon_along_count(store: Store) -> None:
    for _ in range(TRIES):
        begin(Suspect(store), 1, 1)
        remembered(store)
    assert passed_over(Suspect(store))


def test_what_is_stored_already_was_survived(store: Store) -> None:
    begin(Suspect(store), 1, TRIES)
    store.state.emit(1, [], []).result(30)
    assert not passed_over(Suspect(store))


def test_an_entry_that_cannot_be_marked_stays_a_suspect(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    suspect = begin(Suspect(store), 7, TRIES)  # there is none
    assert not passed_over(suspect)
    assert suspect.tries == TRIES
