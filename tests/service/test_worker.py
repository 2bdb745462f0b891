"""The fold process from inside: what it tells, in which order, and when it gives snapshots."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from detector.entries import batch_body, control_body
from detector.fold import Fold
from detector.record import Rules
from detector.service import worker as module
from detector.service.messages import (
    LENGTH,
    Begin,
    FromFold,
    More,
    Ready,
    Save,
    Saved,
    Stop,
    ToFold,
    Told,
    Trying,
    Unsaved,
    from_fold,
)
from detector.service.worker import Worker
from detector.store.entry import Kind
from detector.store.journal import Journal
from tests.support import rule, rule_file, secret

ENTRIES = 6


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of rules and some batches, each with something to alert on."""
    one = Journal(tmp_path / "journal.db")
    one.append(Kind.control, "", control_body(Rules((rule_file(rule("read")),))), received_at=0).result(30)
    for number in range(1, ENTRIES):
        body = batch_body([secret(number, user={"username": f"u{number}"})])
        one.append(Kind.batch, "prod", body, received_at=number, events=1).result(30)
    yield one
    one.close()


def told(
    journal: Journal, *said: ToFold, snapshot: bytes | None = None, emitted: int = -1, careful: int = -1
) -> list[FromFold]:
    """Have everything folded by a worker that is told some things, and then to stop; gives what it says."""
    inbox: queue.SimpleQueue[ToFold] = queue.SimpleQueue()
    for message in (*said, Stop()):
        inbox.put(message)
    out = BytesIO()
    Worker(Begin(str(journal.path), snapshot, emitted, 3600.0, careful), inbox, out).run()
    out.seek(0)
    heard = []
    while head := out.read(LENGTH):
        heard.append(from_fold(out.read(int.from_bytes(head, "big"))))
    return heard


def kinds(messages: list[FromFold]) -> list[tuple[str, int]]:
    return [(type(one).__name__, one.offset) for one in messages]


def snapshot_of(journal: Journal) -> bytes:
    """Give the state after all of a journal."""
    (saved,) = [one for one in told(journal) if isinstance(one, Saved)]
    return saved.snapshot


def test_after_a_start_it_goes_one_by_one_and_says_what_it_begins_with(journal: Journal) -> None:
    each = [step for offset in range(ENTRIES) for step in (("Trying", offset), ("Told", offset))]
    assert kinds(told(journal)) == [("Ready", -1), *each, ("Saved", ENTRIES - 1)]


def test_what_was_survived_is_folded_in_one_go(journal: Journal) -> None:
    messages = told(journal, careful=3)
    assert kinds(messages)[:2] == [("Ready", -1), ("Told", 3)]
    assert [one.offset for one in messages if isinstance(one, Trying)] == [4, 5]


def test_behind_the_first_chunk_it_goes_in_chunks_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    body = batch_body([secret(1, user={"username": "u1"})])
    monkeypatch.setattr(module, "CHUNK", 2 * len(body))
    messages = told(journal, careful=0)
    assert [one.offset for one in messages if isinstance(one, Trying)] == [1, 2]
    assert messages[-1].offset == ENTRIES - 1


def test_of_what_is_stored_already_it_tells_nothing_but_how_far_it_is(journal: Journal) -> None:
    changed = [alert for one in told(journal, emitted=3) if isinstance(one, Told) for alert in one.alerts]
    assert [alert.actor for alert in changed] == ["u4", "u5"]


def test_it_gives_a_snapshot_when_asked_and_none_while_nothing_is_new(journal: Journal) -> None:
    asked = told(journal, Save(), Save(), More())
    assert kinds(asked)[-1] == ("Saved", ENTRIES - 1)
    assert sum(isinstance(one, Saved) for one in asked) == 1
    assert kinds(told(journal, Save(), snapshot=snapshot_of(journal))) == [("Ready", ENTRIES - 1)]


def test_it_is_asked_for_a_snapshot_while_much_is_to_be_folded(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    saved = [one.offset for one in told(journal, Save()) if isinstance(one, Saved)]
    assert saved[0] < ENTRIES - 1


def test_a_snapshot_that_no_message_holds_is_told_of(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    *_, last = told(journal)
    assert isinstance(last, Unsaved)
    assert last.size > 10


def test_it_goes_on_from_a_snapshot(journal: Journal) -> None:
    snapshot = snapshot_of(journal)
    journal.append(Kind.batch, "prod", batch_body([secret(9)]), received_at=9, events=1).result(30)
    ready, *_, saved = told(journal, snapshot=snapshot, emitted=ENTRIES - 1, careful=ENTRIES - 1)
    assert isinstance(ready, Ready)
    assert ready.offset == ENTRIES - 1
    assert isinstance(saved, Saved)
    assert Fold.restore(saved.snapshot).offset == ENTRIES
