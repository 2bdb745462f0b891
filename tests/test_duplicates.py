"""The duplicate window: everything that makes an event counts, and the bound holds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detector import duplicates
from detector.duplicates import Duplicates
from detector.event import Event
from tests.support import event


def test_the_second_time_is_told() -> None:
    window = Duplicates()
    assert [window.seen(event(number)) for number in (1, 2, 1, 2, 3)] == [False, False, True, True, False]


CHANGES: list[dict[str, Any]] = [
    {"auditID": "other"},
    {"requestURI": "/other"},
    {"user": {"username": "eve"}},
    {"user": None},
    {"verb": "list"},
    {"stage": "Panic"},
    {"responseStatus": {"code": 403}},
    {"responseStatus": None},
    {"requestReceivedTimestamp": "2026-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_events_of_the_same_moment_are_told_apart(change: dict[str, Any]) -> None:
    window = Duplicates()
    window.seen(event())
    assert not window.seen(event(**change))
    assert window.seen(event(**change))
    assert window.seen(event())


def test_events_without_a_time_are_recognised() -> None:
    window = Duplicates()
    undated = event(stageTimestamp=None)
    assert [window.seen(undated), window.seen(undated)] == [False, True]


def test_the_window_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "GENERATION", 10)
    window = Duplicates()
    events: list[Event] = [event(number, at=number) for number in range(25)]
    assert not any(window.seen(one) for one in events)
    assert len(window.recent) + len(window.before) <= 20
    assert window.seen(events[24])
    assert window.seen(events[12])
    assert not window.seen(events[0])


def test_a_restored_window_knows_the_same_events() -> None:
    window, copy = Duplicates(), Duplicates()
    events = [event(number, at=number % 3) for number in range(20)]
    for one in events:
        window.seen(one)
    copy.load(msgspec.msgpack.decode(msgspec.msgpack.encode(window.dump())))
    assert all(copy.seen(one) for one in events)
    assert copy.dump() == window.dump()
