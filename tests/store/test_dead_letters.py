"""What could not be read: kept once, counted, bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from detector.errors import StoreFullError
from detector.store import dead_letters
from detector.store.deliveries import Message
from detector.store.state import State
from tests.store.making import NOW, WAIT, Clock, alert


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with closing(State(tmp_path / "state.db", clock=Clock())) as opened:
        yield opened


def bury(state: State, sha256: str = "ab", kind: str = "body", **known: Any) -> None:
    values: dict[str, Any] = {"length": 12, "peer": "192.0.2.1", "position": 3, "at": NOW, **known}
    state.dead_letter(kind, "prod", values.pop("reason", "not JSON"), sha256=sha256, **values).result(WAIT)


def test_what_is_known_is_kept(state: State) -> None:
    bury(state, body=b'{"kind":"Event"')
    (letter,) = state.dead_letters()
    assert (letter.kind, letter.cluster, letter.reason, letter.sha256) == ("body", "prod", "not JSON", "ab")
    assert (letter.length, letter.peer, letter.position, letter.body) == (12, "192.0.2.1", 3, b'{"kind":"Event"')
    assert (letter.count, letter.first_at, letter.last_at) == (1, NOW, NOW)


def test_the_same_body_five_times_is_one_letter(state: State) -> None:
    for number in range(5):
        bury(state, at=NOW + number, peer=f"192.0.2.{number}")
    bury(state, kind="item")
    bury(state, sha256="cd")
    item, first, other = sorted(state.dead_letters(), key=lambda letter: (letter.kind == "body", letter.sha256))
    assert (item.kind, other.sha256) == ("item", "cd")
    assert (first.count, first.first_at, first.last_at, first.peer) == (5, NOW, NOW + 4, "192.0.2.4")


def test_without_a_time_it_is_now(state: State) -> None:
    bury(state, at=None)
    assert state.dead_letters()[0].first_at == NOW


def test_they_are_bounded_and_the_oldest_go(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MOST", 5)
    for number in range(20):
        bury(state, sha256=str(number), at=NOW + number)
        bury(state, sha256=str(number), at=NOW + number)
    assert [letter.sha256 for letter in state.dead_letters()] == ["19", "18", "17", "16", "15"]


def test_long_texts_and_bodies_are_cut(state: State) -> None:
    bury(state, reason="r" * 5_000, body=b"x" * 100_000)
    (letter,) = state.dead_letters()
    assert letter.reason == "r" * 1_000
    assert letter.body == b"x" * 4_096


def test_text_that_no_database_can_hold_is_written_as_escapes(state: State) -> None:
    bury(state, reason="\udcff\ud800", peer="\0x")
    (letter,) = state.dead_letters()
    assert (letter.reason, letter.peer) == ("\\udcff\\ud800", "\0x")


def test_they_are_listed_by_kind_newest_first(state: State) -> None:
    bury(state, "a", "body", at=NOW + 1)
    bury(state, "b", "item", at=NOW + 2)
    bury(state, "c", "body", at=NOW + 3)
    state.emit(0, [alert("x")], [Message("siem", 0)]).result(WAIT)
    state.bury([row.id for row in state.due("siem", NOW, 1)], "refused").result(WAIT)
    assert [letter.sha256 for letter in state.dead_letters("body")] == ["c", "a"]
    assert [letter.sha256 for letter in state.dead_letters("item")] == ["b"]
    assert [letter.alert for letter in state.dead_letters("delivery")] == ["x"]
    assert [letter.kind for letter in state.dead_letters()] == ["body", "item", "body", "delivery"]
    assert [letter.sha256 for letter in state.dead_letters(limit=2)] == ["c", "b"]


def test_those_that_wait_for_a_slow_disk_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MOST_PENDING", 3)
    with closing(State(tmp_path / "state.db", clock=Clock())) as state:
        gate = threading.Event()
        state._writer.submit(lambda _: gate.wait(WAIT))
        futures = [state.dead_letter("body", "prod", "no", sha256=str(number), length=1) for number in range(5)]
        assert [future.done() for future in futures] == [False, False, False, True, True]
        for future in futures[3:]:
            with pytest.raises(StoreFullError, match="too many dead letters wait"):
                future.result(0)
        gate.set()
        futures[2].result(WAIT)
        bury(state, "later")
        assert {letter.sha256 for letter in state.dead_letters()} == {"0", "1", "2", "later"}
