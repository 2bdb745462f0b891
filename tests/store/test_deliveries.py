"""The outbox in the store: a row leaves when its sink said yes, or is buried with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.finding import Alert
from detector.store import deliveries
from detector.store.deliveries import Outstanding
from detector.store.state import State
from tests.store.making import NOW, WAIT, Clock, alert


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path, clock: Clock) -> Iterator[State]:
    with closing(State(tmp_path / "state.db", clock=clock)) as opened:
        yield opened


def emit(state: State, *revisions: Alert, sinks: tuple[str, ...] = ("siem",)) -> None:
    rows = [(sink, index) for index in range(len(revisions)) for sink in sinks]
    state.emit(state.emitted_offset + 1, revisions, rows).result(WAIT)


def due(state: State, sink: str = "siem", now: int = NOW, limit: int = 100) -> list[tuple[str, int]]:
    return [(row.alert.id, row.alert.revision) for row in state.due(sink, now, limit)]


def numbers(state: State, sink: str = "siem", now: int = NOW) -> list[int]:
    return [row.id for row in state.due(sink, now, 100)]


def test_each_sink_has_rows_of_its_own(state: State) -> None:
    emit(state, alert("a"), sinks=("siem", "chat"))
    state.delivered(numbers(state, "chat")).result(WAIT)
    assert (due(state), due(state, "chat"), due(state, "nonesuch")) == ([("a", 1)], [], [])


def test_a_delivery_carries_the_revision_it_was_made_for(state: State) -> None:
    emit(state, alert("a", 1, count=1))
    emit(state, alert("a", 2, count=2))
    first, second = state.due("siem", NOW, 10)
    assert (first.alert.count, second.alert.count) == (1, 2)
    assert (first.tries, first.created_at) == (0, NOW)


def test_the_oldest_come_first_and_no_more_than_asked(state: State) -> None:
    emit(state, *(alert(name) for name in "edcba"))
    assert due(state, limit=3) == [("e", 1), ("d", 1), ("c", 1)]


def test_what_is_put_off_comes_at_its_time_with_one_more_try(state: State) -> None:
    emit(state, alert("a"), alert("b"))
    state.retry(numbers(state)[:1], NOW + 10, "no answer").result(WAIT)
    assert due(state, now=NOW + 9) == [("b", 1)]
    assert [(row.alert.id, row.tries) for row in state.due("siem", NOW + 10, 10)] == [("a", 1), ("b", 0)]


def test_no_revision_overtakes_an_earlier_one_of_its_alert(state: State) -> None:
    emit(state, alert("a", 1), sinks=("siem", "chat"))
    emit(state, alert("a", 2), alert("b"), sinks=("siem", "chat"))
    state.retry(numbers(state)[:1], NOW + 10, "").result(WAIT)
    assert due(state) == [("b", 1)]
    assert due(state, "chat") == [("a", 1), ("a", 2), ("b", 1)]
    assert due(state, now=NOW + 10) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_buried_revision_holds_up_no_later_one(state: State) -> None:
    emit(state, alert("a", 1), alert("a", 2))
    first = numbers(state)[:1]
    state.retry(first, NOW + 10, "no answer").result(WAIT)
    state.bury(first, "refused").result(WAIT)
    assert due(state) == [("a", 2)]


def test_what_is_buried_is_a_dead_letter_and_waits_no_more(state: State, clock: Clock) -> None:
    emit(state, alert("a"))
    clock.time += 5
    state.bury(numbers(state), "refused: \ud800").result(WAIT)
    assert (due(state), state.outbox_depth()) == ([], {})
    (letter,) = state.dead_letters()
    assert (letter.kind, letter.sink, letter.alert, letter.reason) == ("delivery", "siem", "a", "refused: \\ud800")
    assert (letter.count, letter.first_at, letter.last_at) == (1, NOW, NOW + 5)


def test_redelivery_begins_anew(state: State, clock: Clock) -> None:
    emit(state, alert("a"))
    state.retry(numbers(state), NOW, "").result(WAIT)
    state.bury(numbers(state), "").result(WAIT)
    clock.time += 100
    assert state.redeliver().result(WAIT) == 1
    assert due(state, now=NOW + 99) == []
    (row,) = state.due("siem", NOW + 100, 10)
    assert (row.alert, row.tries, row.created_at) == (alert("a"), 0, NOW + 100)
    assert state.dead_letters() == []


def test_some_or_all_can_be_delivered_again(state: State) -> None:
    emit(state, alert("a"), alert("b"), sinks=("siem", "chat"))
    siem, chat = numbers(state), numbers(state, "chat")
    state.bury([*siem, *chat], "").result(WAIT)
    assert state.redeliver([siem[1]]).result(WAIT) == 1
    assert due(state) == [("b", 1)]
    assert state.redeliver(sink="chat").result(WAIT) == 2
    assert state.redeliver([999]).result(WAIT) == 0
    assert state.redeliver([], "siem").result(WAIT) == 0
    assert state.redeliver().result(WAIT) == 1
    assert state.outbox_depth() == {"siem": (2, NOW), "chat": (2, NOW)}


def test_buried_deliveries_are_bounded_and_those_lost_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_BURIED", 3)
    path = tmp_path / "state.db"
    with closing(State(path, clock=Clock())) as state:
        emit(state, *(alert(name) for name in "abcdefg"))
        state.bury(numbers(state)[:5], "").result(WAIT)
        assert state.lost_deliveries == 2
        state.bury(numbers(state)[:1], "").result(WAIT)
        assert {letter.alert for letter in state.dead_letters("delivery")} == {"d", "e", "f"}
        assert due(state) == [("g", 1)]
    with closing(State(path)) as state:
        assert state.lost_deliveries == 3


def test_depth_tells_how_many_wait_and_since_when(state: State, clock: Clock) -> None:
    emit(state, alert("a"), sinks=("siem", "chat"))
    clock.time += 5
    emit(state, alert("b"))
    assert state.outbox_depth() == {"siem": (2, NOW), "chat": (1, NOW)}
    state.delivered(numbers(state, now=NOW)).result(WAIT)
    assert state.outbox_depth() == {"siem": (1, NOW + 5), "chat": (1, NOW)}


def test_a_number_is_never_given_twice(state: State) -> None:
    emit(state, alert("a"))
    first = numbers(state)
    state.delivered(first).result(WAIT)
    emit(state, alert("b"))
    assert numbers(state) > first


def test_many_rows_leave_in_one_statement(state: State) -> None:
    emit(state, *(alert(str(number)) for number in range(3_000)))
    rows = state.due("siem", NOW, 3_000)
    statements: list[str] = []
    state._connection.set_trace_callback(statements.append)
    state.delivered([row.id for row in rows]).result(WAIT)
    state._connection.set_trace_callback(None)
    assert sum("outbox" in statement for statement in statements) == 1
    assert state.outbox_depth() == {}


def test_what_waits_is_found_without_going_through_all_of_it(state: State) -> None:
    values = {"sink": "siem", "now": NOW, "far": NOW + deliveries.FAR, "limit": 1}
    plan = state._connection.execute(f"EXPLAIN QUERY PLAN {deliveries._DUE}", values).fetchall()
    steps = [step for *_, step in plan]
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in steps), steps


def test_what_is_outstanding_of_an_alert_is_told_by_sink(state: State) -> None:
    emit(state, alert("a"), alert("b"), sinks=("siem", "chat", "pager"))
    state.retry(numbers(state)[:1], NOW + 10, "no answer").result(WAIT)
    state.delivered(numbers(state, "chat")[:1]).result(WAIT)
    state.bury(numbers(state, "pager")[:1], "refused").result(WAIT)
    assert state.deliveries("a") == [
        Outstanding("siem", 1, "no answer", NOW, NOW + 10, buried=False),
        Outstanding("pager", 1, "refused", NOW, NOW, buried=True),
    ]
    assert {one.sink for one in state.deliveries("b")} == {"siem", "chat", "pager"}
    assert state.deliveries("c") == []


def test_what_is_outstanding_is_found_without_reading_what_waits_of_other_alerts(state: State) -> None:
    plan = state._connection.execute(f"EXPLAIN QUERY PLAN {deliveries._OF_ALERT}", {"alert": "a"}).fetchall()
    scans = [step for *_, step in plan if step.startswith("SCAN")]
    assert all("outbox_waiting" in step or "outbox_buried" in step or "outbox" not in step for step in scans), scans
