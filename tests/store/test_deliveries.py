"""The outbox in the store: a row leaves when its sink said yes, or is buried with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.event import SECOND
from detector.finding import Alert
from detector.store import deliveries
from detector.store.deliveries import Message, Outstanding, Terms
from detector.store.state import State
from tests.store.making import NOW, WAIT, Clock, alert

USUAL = Terms()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path, clock: Clock) -> Iterator[State]:
    with closing(State(tmp_path / "state.db", clock=clock)) as opened:
        yield opened


def emit(state: State, *revisions: Alert, sinks: tuple[str, ...] = ("siem",), terms: Terms = USUAL) -> None:
    rows = [Message(sink, index, terms) for index in range(len(revisions)) for sink in sinks]
    state.emit(state.emitted_offset + 1, revisions, rows).result(WAIT)


def due(state: State, sink: str = "siem", now: int = NOW, limit: int = 100) -> list[tuple[str, int]]:
    return [(row.alert.id, row.alert.revision) for row in state.due(sink, now, limit)]


def waiting(state: State) -> dict[str, tuple[int, int | None]]:
    return {sink: (one.waiting, one.oldest) for sink, one in state.outbox_depth().items() if one.waiting}


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
    assert (due(state), waiting(state)) == ([], {})
    assert state.outbox_depth()["siem"].buried == 1
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
    assert waiting(state) == {"siem": (2, NOW), "chat": (2, NOW)}


def test_buried_deliveries_are_bounded_and_those_lost_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_BURIED", 3)
    path = tmp_path / "state.db"
    with closing(State(path, clock=Clock())) as state:
        emit(state, *(alert(name) for name in "abcdefg"))
        state.bury(numbers(state)[:5], "").result(WAIT)
        assert state.outbox_depth()["siem"].lost == 2
        state.bury(numbers(state)[:1], "").result(WAIT)
        assert {letter.alert for letter in state.dead_letters("delivery")} == {"d", "e", "f"}
        assert due(state) == [("g", 1)]
    with closing(State(path)) as state:
        assert state.outbox_depth()["siem"].lost == 3


def test_the_dead_letters_of_one_sink_push_out_those_of_no_other(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_BURIED", 2)
    emit(state, alert("a"), sinks=("chat",))
    state.bury(numbers(state, "chat"), "").result(WAIT)
    emit(state, *(alert(name) for name in "bcde"))
    state.bury(numbers(state), "").result(WAIT)
    assert {letter.alert for letter in state.dead_letters("delivery")} == {"a", "d", "e"}
    assert {sink: one.lost for sink, one in state.outbox_depth().items()} == {"chat": 0, "siem": 2}


def test_buried_deliveries_are_bounded_in_bytes_too(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    emit(state, *(alert(name) for name in "abcde"))
    each = state.outbox_depth()["siem"].bytes // 5
    monkeypatch.setattr(deliveries, "MOST_BURIED_BYTES", 2 * each + 1)
    state.bury(numbers(state), "").result(WAIT)
    assert {letter.alert for letter in state.dead_letters("delivery")} == {"d", "e"}
    assert state.outbox_depth()["siem"].lost == 3


def test_of_what_waits_beyond_the_rows_of_a_sink_the_oldest_are_dead_letters_and_counted(state: State) -> None:
    emit(state, *(alert(name) for name in "abc"), sinks=("chat",))
    for name in "abcde":
        emit(state, alert(name), terms=Terms(rows=3))
    assert due(state) == [("c", 1), ("d", 1), ("e", 1)]
    assert {letter.alert for letter in state.dead_letters("delivery")} == {"a", "b"}
    assert "more than 3 alerts" in state.dead_letters("delivery")[0].reason
    assert {letter.count for letter in state.dead_letters("delivery")} == {0}, "they were not tried"
    told = state.outbox_depth()["siem"]
    assert (told.waiting, told.buried, told.displaced, told.lost) == (3, 2, 2, 0)
    assert due(state, "chat") == [("a", 1), ("b", 1), ("c", 1)]
    assert state.redeliver(sink="siem").result(WAIT) == 2


def test_what_waits_is_bounded_in_bytes_too(state: State) -> None:
    emit(state, alert("a"))
    terms = Terms(bytes=2 * state.outbox_depth()["siem"].bytes)
    emit(state, alert("b"), terms=terms)
    assert state.outbox_depth()["siem"].displaced == 0
    emit(state, alert("c"), terms=terms)
    assert due(state) == [("b", 1), ("c", 1)]
    assert state.outbox_depth()["siem"].displaced == 1


def test_many_alerts_at_once_are_bounded_as_well(state: State) -> None:
    emit(state, *(alert(str(number)) for number in range(50)), terms=Terms(rows=5))
    assert due(state) == [(str(number), 1) for number in range(45, 50)]
    assert state.outbox_depth()["siem"].displaced == 45


def test_what_was_delivered_while_it_gave_way_is_no_dead_letter(state: State) -> None:
    emit(state, alert("a"))
    under_way = numbers(state)
    emit(state, alert("b"), terms=Terms(rows=1))
    state.delivered(under_way).result(WAIT)
    assert (due(state), state.dead_letters()) == ([("b", 1)], [])


def test_what_failed_while_it_gave_way_stays_a_dead_letter_with_its_reason(state: State) -> None:
    emit(state, alert("a"))
    under_way = numbers(state)
    emit(state, alert("b"), terms=Terms(rows=1))
    state.retry(under_way, NOW, "no answer").result(WAIT)
    (letter,) = state.dead_letters()
    assert (letter.alert, letter.count) == ("a", 0)
    assert "waited for the sink" in letter.reason


def test_a_revision_takes_the_place_of_those_before_it_at_a_sink_that_replaces(state: State, clock: Clock) -> None:
    emit(state, alert("a", 1), alert("b", 1), terms=Terms(replaces=True))
    emit(state, alert("a", 1), sinks=("chat",))
    state.retry(numbers(state)[:1], NOW + 10, "no answer").result(WAIT)
    clock.time += 5
    emit(state, alert("a", 2), alert("a", 3), terms=Terms(replaces=True))
    emit(state, alert("a", 3), sinks=("chat",))
    assert due(state) == [("b", 1)]
    first, other = state.due("siem", NOW + 10, 10)
    assert (first.alert.id, other.alert.id, other.alert.revision) == ("b", "a", 3)
    assert (other.created_at, other.tries) == (NOW, 1), "it has waited since the first of them"
    assert state.outbox_depth()["siem"].waiting == 2
    assert due(state, "chat", clock.time) == [("a", 1), ("a", 3)], "a sink that appends hears of each"
    assert state.dead_letters() == []


def test_a_revision_that_takes_the_place_of_one_under_way_is_delivered_after_it(state: State) -> None:
    emit(state, alert("a", 1), terms=Terms(replaces=True))
    under_way = numbers(state)
    emit(state, alert("a", 2), terms=Terms(replaces=True))
    state.delivered(under_way).result(WAIT)
    assert due(state) == [("a", 2)]


def test_a_buried_revision_is_not_replaced(state: State) -> None:
    emit(state, alert("a", 1), terms=Terms(replaces=True))
    state.bury(numbers(state), "refused").result(WAIT)
    emit(state, alert("a", 2), terms=Terms(replaces=True))
    assert (len(state.dead_letters()), due(state)) == (1, [("a", 2)])


def bodies(state: State) -> int:
    return int(state._reading.execute("SELECT count(*) FROM alert_bodies").fetchone()[0])


def test_a_revision_is_kept_once_whoever_is_to_hear_of_it(state: State) -> None:
    emit(state, alert("a", 1), sinks=("siem", "chat", "pager"))
    assert bodies(state) == 1
    emit(state, alert("a", 2), alert("a", 3), sinks=("siem", "chat"))
    assert bodies(state) == 3
    for sink in ("siem", "chat", "pager"):
        state.delivered(numbers(state, sink)).result(WAIT)
    assert bodies(state) == 1, "the alert has its newest"


def test_what_nobody_refers_to_is_not_kept(state: State, clock: Clock) -> None:
    emit(state, alert("a", 2), sinks=())
    emit(state, alert("a", 1), alert("a", 3, status="closed"), sinks=())
    assert bodies(state) == 1
    emit(state, alert("a", 2))
    clock.time += 100 * 86_400 * SECOND
    state.expire().result(WAIT)
    assert (state.alerts(), due(state), bodies(state)) == ([], [("a", 2)], 1)
    state.delivered(numbers(state)).result(WAIT)
    assert bodies(state) == 0


def test_what_waits_for_a_sink_that_is_gone_is_a_dead_letter_when_it_is_old(state: State, clock: Clock) -> None:
    emit(state, alert("a"), sinks=("gone", "siem"))
    clock.time += 10
    emit(state, alert("b"), sinks=("gone",))
    assert state.abandon(["siem"], NOW).result(WAIT) == 0
    assert state.abandon(["siem"], NOW + 1).result(WAIT) == 1
    assert (due(state), due(state, "gone", clock.time)) == ([("a", 1)], [("b", 1)])
    (letter,) = state.dead_letters()
    assert (letter.sink, letter.alert, letter.reason) == ("gone", "a", "the sink is configured no more")


def test_what_is_abandoned_goes_a_few_at_a_time(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "AT_ONCE", 2)
    emit(state, *(alert(name) for name in "abc"))
    assert [state.abandon([], NOW + 1).result(WAIT) for _ in range(3)] == [2, 1, 0]


def test_depth_tells_how_many_wait_and_since_when(state: State, clock: Clock) -> None:
    emit(state, alert("a"), sinks=("siem", "chat"))
    clock.time += 5
    emit(state, alert("b"))
    assert waiting(state) == {"siem": (2, NOW), "chat": (1, NOW)}
    state.delivered(numbers(state, now=NOW)).result(WAIT)
    assert waiting(state) == {"siem": (1, NOW + 5), "chat": (1, NOW)}


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
    assert len({statement for statement in statements if "outbox" in statement}) == 1
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
    plan = state._connection.execute(f"EXPLAIN QUERY PLAN {deliveries._OF_ALERT}", ("a",)).fetchall()
    assert not [step for *_, step in plan if step.startswith("SCAN")]
