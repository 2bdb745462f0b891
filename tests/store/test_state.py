"""The state: alerts, their deliveries and how far they are stored, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.suppress import Lift, Suppression
from detector.errors import StoreError, StoreFullError
from detector.finding import Level, RuleInfo, Verdict
from detector.store import alerts as alerts_table
from detector.store.alerts import Wanted
from detector.store.deliveries import Message
from detector.store.state import State
from tests.store.making import NOW, WAIT, Clock, alert

DAY = 86_400_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path, clock: Clock) -> Iterator[State]:
    with closing(State(tmp_path / "state.db", clock=clock)) as opened:
        yield opened


def ids(state: State, **wanted: Any) -> list[str]:
    return [one.alert.id for one in state.alerts(Wanted(**wanted))]


def test_a_new_state_has_nothing(state: State) -> None:
    assert state.emitted_offset == -1
    assert (state.alerts(), state.alert("a"), state.outbox_depth()) == ([], None, {})
    assert (state.dead_letters(), state.suppressions(), state.meta("x")) == ([], [], None)


def test_alerts_come_back_as_they_were(state: State) -> None:
    written = alert("a", actor="eve\x1b[31m\0\u202e", samples=({"auditID": "x", "requestObject": {"deep": [1, None]}},))
    assert state.emit(0, [written], []).result(WAIT)
    stored = state.alert("a")
    assert stored is not None
    assert stored.alert == written
    assert (stored.verdict, stored.who, stored.why, stored.at) == ("", "", "", 0)


def test_alerts_deliveries_and_offset_are_stored_together_or_not_at_all(state: State, clock: Clock) -> None:
    with pytest.raises(IndexError):
        state.emit(5, [alert("a")], [Message("siem", 0), Message("siem", 1)]).result(WAIT)
    assert (state.alerts(), state.outbox_depth(), state.emitted_offset) == ([], {}, -1)
    assert state.emit(5, [alert("a")], [Message("siem", 0)]).result(WAIT)
    assert (ids(state), state.outbox_depth()["siem"].waiting, state.emitted_offset) == (["a"], 1, 5)


def test_what_was_emitted_is_not_emitted_again(state: State) -> None:
    state.emit(5, [alert("a", count=1)], [Message("siem", 0)]).result(WAIT)
    for offset in (5, 4, 0):
        messages = [Message("siem", 0), Message("siem", 1)]
        assert not state.emit(offset, [alert("a", 9, count=9), alert("b")], messages).result(WAIT)
    assert ids(state) == ["a"]
    assert state.outbox_depth()["siem"].waiting == 1
    assert state.emitted_offset == 5


def test_what_was_emitted_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(State(path)) as state:
        state.emit(0, [], []).result(WAIT)
    with closing(State(path)) as state:
        assert state.emitted_offset == 0
        assert not state.emit(0, [alert("a")], []).result(WAIT)
        assert state.emit(1, [alert("a")], []).result(WAIT)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_only_a_later_revision_replaces(state: State, order: tuple[int, ...]) -> None:
    for offset, revision in enumerate(order):
        state.emit(offset, [alert("a", revision, count=revision)], []).result(WAIT)
    (stored,) = state.alerts()
    assert (stored.alert.revision, stored.alert.count) == (3, 3)


def test_a_verdict_stays_when_the_alert_goes_on(state: State) -> None:
    state.emit(0, [alert("a"), alert("b")], []).result(WAIT)
    state.emit(1, [], [], [Verdict("a", "dismissed", "ann", "a drill", NOW), Verdict("gone", "confirmed", "", "", 1)])
    state.emit(2, [alert("a", 2, status="closed")], []).result(WAIT)
    stored = state.alert("a")
    assert stored is not None
    assert (stored.verdict, stored.who, stored.why, stored.at) == ("dismissed", "ann", "a drill", NOW)
    assert stored.alert.status == "closed"
    assert (ids(state, verdict="dismissed"), ids(state, verdict="")) == (["a"], ["b"])


def test_alerts_are_found_by_what_they_are(state: State) -> None:
    other = RuleInfo(id="rule-2", title="Exec", level=Level.low)
    revisions = [
        alert("a"),
        alert("b", cluster="test", level=Level.critical, last_seen=NOW + 10),
        alert("c", actor="eve", status="closed"),
        alert("d", rule=other, title="Exec", level=Level.low),
    ]
    state.emit(0, revisions, []).result(WAIT)
    assert ids(state) == ["d", "c", "b", "a"]
    assert ids(state, level=Level.high) == ["c", "b", "a"]
    assert ids(state, level=Level.critical) == ["b"]
    assert ids(state, cluster="test") == ["b"]
    assert ids(state, actor="eve") == ["c"]
    assert (ids(state, rule="rule-2"), ids(state, rule="Exec")) == (["d"], ["d"])
    assert (ids(state, status="open"), ids(state, status="closed")) == (["d", "b", "a"], ["c"])
    assert ids(state, since=NOW + 10) == ["b"]
    assert ids(state, actor="jane", level=Level.high, cluster="prod") == ["a"]
    assert ids(state, actor="' OR 1=1 --") == []


def test_pages_hold_every_alert_once_while_alerts_change(state: State) -> None:
    state.emit(0, [alert(str(number)) for number in range(10)], []).result(WAIT)
    first = state.alerts(limit=4)
    state.emit(1, [alert("0", 2), alert("new")], []).result(WAIT)
    second = state.alerts(Wanted(before=first[-1].place), 4)
    third = state.alerts(Wanted(before=second[-1].place), 4)
    assert [one.alert.id for one in (*first, *second, *third)] == list("9876543210")


def test_closed_alerts_go_when_they_are_old(state: State, clock: Clock) -> None:
    state.emit(
        0, [alert("closed", status="closed"), alert("open"), alert("young", status="closed", last_seen=NOW + 1)], []
    )
    clock.time = NOW + 90 * DAY
    assert state.expire().result(WAIT) == 0
    clock.time += 1
    assert state.expire().result(WAIT) == 1
    assert ids(state) == ["young", "open"]


def test_too_many_alerts_go_closed_ones_first(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts_table, "MOST", 3)
    revisions = [alert(str(number), status="closed" if number in {2, 4} else "open") for number in range(6)]
    state.emit(0, revisions, []).result(WAIT)
    assert state.expire().result(WAIT) == 3
    assert ids(state) == ["5", "3", "1"]
    assert state.expire().result(WAIT) == 0


def test_old_alerts_go_a_few_at_a_time(state: State, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts_table, "AT_ONCE", 4)
    state.emit(0, [alert(str(number), status="closed") for number in range(6)], []).result(WAIT)
    clock.time += 91 * DAY
    assert [state.expire().result(WAIT) for _ in range(3)] == [4, 2, 0]


def suppression(name: str, until: int = NOW) -> Suppression:
    return Suppression(id=name, owner="ann", reason="a drill", until=until, actor="jane")


def test_suppressions_are_listed_until_they_are_lifted(state: State) -> None:
    state.emit(0, [], [], [suppression("a", 3), suppression("b", 1), suppression("c", 2)]).result(WAIT)
    assert [one.id for one in state.suppressions()] == ["b", "c", "a"]
    state.emit(1, [], [], [suppression("c", 9), Lift("b"), Lift("nonesuch")]).result(WAIT)
    assert state.suppressions() == [suppression("a", 3), suppression("c", 9)]


def test_suppressions_are_bounded_as_in_the_fold(state: State) -> None:
    state.emit(0, [], [], [suppression(str(number), number) for number in range(1_010)]).result(WAIT)
    listed = state.suppressions()
    assert len(listed) == 1_000
    assert listed[0].until == 10


def test_texts_are_kept_under_names(state: State) -> None:
    state.set_meta("x", "one").result(WAIT)
    state.set_meta("x", "two").result(WAIT)
    assert state.meta("x") == "two"


def test_a_full_disk_is_told_and_later_there_is_room(state: State) -> None:
    state.emit(0, [], []).result(WAIT)
    (pages,) = state._connection.execute("PRAGMA page_count").fetchone()
    state._connection.execute(f"PRAGMA max_page_count={pages}")
    many = [alert(str(number), message="x" * 1_000) for number in range(100)]
    with pytest.raises(StoreFullError, match="free some space"):
        state.emit(1, many, []).result(WAIT)
    assert (state.alerts(), state.emitted_offset) == ([], 0)
    state._connection.execute("PRAGMA max_page_count=1000000")
    assert state.emit(1, many, []).result(WAIT)
    assert (len(state.alerts()), state.emitted_offset) == (100, 1)


def test_a_state_of_another_version_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="damaged"):
        State(path)


def test_time_is_that_of_the_machine(tmp_path: Path) -> None:
    with closing(State(tmp_path / "state.db")) as state:
        state.emit(0, [alert("a")], [Message("siem", 0)]).result(WAIT)
        created_at = state.outbox_depth()["siem"].oldest
    assert created_at is not None
    assert created_at > 1_700_000_000_000_000
