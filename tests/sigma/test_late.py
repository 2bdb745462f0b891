"""Correlations and events out of order: what does not depend on the order in which events arrive, and its bounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.event import SECOND, Event
from detector.finding import Finding
from detector.sigma import correlate
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.load import load
from detector.sigma.window import AUDIT_ID, MAX_SOURCE, MAX_TARGET, MAX_VALUE, Entry, needless, short
from detector.watermark import LATENESS
from tests.support import correlation, rule, rule_file, seconds, secret

SPAN, LATE = 10, LATENESS // SECOND
READ = rule("read")
WRITE = rule("write", {"sel": {"objectRef.resource": "secrets", "verb": "update"}, "condition": "sel"})
KINDS = {
    "event_count": correlation("c", "event_count", ["read"], {"gte": 3}),
    "value_count": correlation("c", "value_count", ["read"], {"gte": 3, "field": "objectRef.name"}),
    "temporal": correlation("c", "temporal", ["read", "write"]),
    "temporal_ordered": correlation("c", "temporal_ordered", ["read", "write"]),
}
COMPILED = {
    kind: Compiled(load([rule_file(READ, *([WRITE] if kind.startswith("temporal") else []), document)]))
    for kind, document in KINDS.items()
}
EACH = pytest.mark.parametrize("kind", KINDS)


class One(NamedTuple):
    """An event that matters: it is ``late`` seconds later than its time among those that arrive."""

    at: float
    late: float
    name: str
    verb: str
    user: str


def made(number: int, one: One) -> Event:
    return secret(number, at=one.at, name=one.name, verb=one.verb, user={"username": one.user})


def arriving(ones: list[One]) -> list[Event]:
    """Give events as they arrive: none is more than its lateness behind the newest."""
    order = sorted(range(len(ones)), key=lambda number: ones[number].at + ones[number].late)
    return [made(number, ones[number]) for number in order]


def send(to: SigmaDetector, events: Iterable[Event]) -> list[Finding]:
    return [found for event in events for found in to.check(event, event.time or 0)]


def detected(kind: str, ones: list[One]) -> list[Finding]:
    return send(SigmaDetector(COMPILED[kind]), arriving(ones))


STREAMS = st.lists(
    st.builds(
        One,
        st.builds(lambda start, more: start + more / 2, st.sampled_from([0, 30, 45, 290, 320]), st.integers(0, 50)),
        st.floats(0, LATE) | st.sampled_from([0.0, float(LATE)]),
        st.sampled_from("abcd"),
        st.sampled_from(["get", "update"]),
        st.sampled_from("xy"),
    ),
    max_size=40,
)


def windows(kind: str, ones: list[One]) -> list[tuple[str, float]]:
    """Give, by the definition, the group and the end of every window that holds the threshold."""
    held = []
    for last in ones:
        window = sorted(
            (one.at, made(number, one).fingerprint, one)
            for number, one in enumerate(ones)
            if one.user == last.user and last.at - SPAN <= one.at <= last.at
        )
        if holds(kind, [one for _, _, one in window]):
            held.append((last.user, last.at))
    return held


def holds(kind: str, window: list[One]) -> bool:
    reads = [one for one in window if one.verb == "get"]
    match kind:
        case "event_count":
            return len(reads) >= 3
        case "value_count":
            return len({one.name for one in reads}) >= 3
        case "temporal":
            return 0 < len(reads) < len(window)
    return any(one.verb == "get" and "update" in [after.verb for after in window[at:]] for at, one in enumerate(window))


@EACH
@settings(max_examples=60, deadline=None)
@given(STREAMS)
def test_which_groups_fire_does_not_depend_on_the_order_of_arrival(kind: str, ones: list[One]) -> None:
    fired = {user for user, _ in windows(kind, ones)}
    assert {found.actor for found in detected(kind, ones)} == fired
    assert {found.actor for found in detected(kind, [one._replace(late=0) for one in ones])} == fired


@EACH
@settings(max_examples=60, deadline=None)
@given(STREAMS)
def test_what_holds_the_threshold_has_been_told_or_something_within_a_span_of_it(kind: str, ones: list[One]) -> None:
    told = [(found.actor, ones[int(name[5:])].at) for found in detected(kind, ones) for name in found.audit_ids]
    for user, at in windows(kind, ones):
        assert any(actor == user and abs(at - told_at) <= SPAN for actor, told_at in told)


@EACH
@settings(max_examples=60, deadline=None)
@given(STREAMS)
def test_a_crossing_stands_on_events_that_hold_the_threshold_within_a_span(kind: str, ones: list[One]) -> None:
    for found in detected(kind, ones):
        named = [ones[int(name[5:])] for name in found.audit_ids]
        assert {one.user for one in named} == {found.actor}
        assert found.count == len(named)
        if not found.continues:
            assert max(one.at for one in named) - min(one.at for one in named) <= SPAN
            assert holds(kind, named)


@EACH
@settings(max_examples=60, deadline=None)
@given(STREAMS)
def test_an_event_that_goes_on_with_a_crossing_is_told_once(kind: str, ones: list[One]) -> None:
    found = detected(kind, ones)
    again = [one for one in found if one.continues]
    assert [one.count for one in again] == [1] * len(again)
    assert len({one.audit_id for one in again}) == len(again)
    assert all(one.audit_ids == (one.audit_id,) for one in again)
    assert {one.id for one in again} <= {one.id for one in found if not one.continues}


@EACH
@settings(max_examples=30, deadline=None)
@given(STREAMS, st.integers(0, 40))
def test_a_snapshot_carries_all_that_late_events_need(kind: str, ones: list[One], cut: int) -> None:
    events = arriving(ones)
    before, after = SigmaDetector(COMPILED[kind]), SigmaDetector(COMPILED[kind])
    send(before, events[:cut])
    after.load(msgspec.msgpack.decode(msgspec.msgpack.encode(before.dump())))
    assert send(after, events[cut:]) == send(before, events[cut:])
    assert after.dump() == before.dump()


TOGETHER = [One(0, 0, "a", "get", "u"), One(4, 0, "b", "get", "u"), One(10, 0, "c", "get", "u")]


@EACH
@pytest.mark.parametrize("late", range(3))
def test_an_event_as_late_as_may_be_counts_with_those_it_belongs_to(kind: str, late: int) -> None:
    verb = "update" if kind.startswith("temporal") else "get"
    ones = [*TOGETHER[:2], TOGETHER[2]._replace(verb=verb)]
    newest = One(ones[late].at + LATE, 0, "a", "get", "u")
    ones[late] = ones[late]._replace(late=LATE + 1)
    found = detected(kind, [*ones, newest])
    assert [one.continues for one in found if one.audit_id == f"test-{late}"] == [verb == "update" and late < 2]
    assert len([one for one in found if not one.continues]) == 1


def test_an_event_later_than_that_counts_alone() -> None:
    later = LATE + SPAN + 1
    ones = [*TOGETHER[:2], TOGETHER[2]._replace(late=later), One(later, 0, "a", "get", "u")]
    assert detected("event_count", ones) == []


def in_order(*times_and_names: tuple[float, str]) -> list[One]:
    """Give events that arrive in the order in which they are written."""
    return [One(at, 100 + number - at, name, "get", "u") for number, (at, name) in enumerate(times_and_names)]


def test_what_lies_before_the_window_of_a_crossing_still_counts() -> None:
    ones = in_order((0, "a"), (11, "c"), (12, "d"), (13, "e"), (1, "f"), (2, "g"))
    found = detected("value_count", ones)
    assert [one.audit_ids for one in found] == [("test-1", "test-2", "test-3"), ("test-0", "test-4", "test-5")]


def test_a_crossing_that_a_late_event_completes_is_of_the_time_of_its_newest() -> None:
    (found,) = detected("event_count", in_order((5, "a"), (7, "b"), (4, "c")))
    assert found.since is not None
    assert (seconds(found.since), seconds(found.time)) == (4, 7)


@pytest.mark.parametrize("at", [4, 5.5, 7.5])
def test_a_late_event_beside_a_crossing_goes_on_with_it(at: float) -> None:
    found = detected("event_count", in_order((5, "a"), (6, "b"), (7, "c"), (at, "d")))
    assert [one.continues for one in found] == [False, True]
    assert (found[1].id, found[1].audit_ids) == (found[0].id, ("test-3",))


def test_it_arms_again_when_one_event_in_between_is_below_however_near() -> None:
    times = [0, 1, 2, 11.5, 11.6]
    found = detected("event_count", [One(at, 0, "a", "get", "u") for at in times])
    assert [one.continues for one in found] == [False, False]


def test_one_event_is_enough_again_and_again_where_one_is_asked_for() -> None:
    document = correlation("c", "event_count", ["read"], {"gte": 1})
    one = SigmaDetector(Compiled(load([rule_file(READ, document)])))
    found = send(one, [secret(number, at=at) for number, at in enumerate([0, 9, 20, 400])])
    assert [each.continues for each in found] == [False, True, False, False]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20).map(sorted))
def test_of_entries_that_count_the_same_none_is_let_go_that_a_span_may_need(times: list[int]) -> None:
    entries = [Entry(time, "", 0, "") for time in times]
    gone = needless(entries, range(len(entries)), SPAN)
    kept = [time for number, time in enumerate(times) if number not in gone]
    assert gone == sorted(gone, reverse=True)
    for start in range(-SPAN, 61):
        inside = range(start, start + SPAN + 1)
        assert any(time in inside for time in kept) == any(time in inside for time in times)
    assert all(after - before > SPAN for before, after in zip(kept, kept[2:], strict=False))


FLOOD = [One(number / 20, (number * 7919) % LATE, "abcdefgh"[number % 8], "get", "u") for number in range(2_000)]


@EACH
def test_a_flood_in_any_order_leaves_a_small_window(kind: str) -> None:
    mixed = [one._replace(verb="update") if number % 2 else one for number, one in enumerate(FLOOD)]
    for ones in (FLOOD, mixed, [one._replace(late=0) for one in FLOOD], [one._replace(name="a") for one in FLOOD]):
        one = SigmaDetector(COMPILED[kind])
        send(one, arriving(ones))
        ((_, entries),) = one.correlators[0].windows.items()
        assert entries == sorted(entries)
        assert len(entries) <= 2 * 3 * (LATE / SPAN + 2)


def test_windows_are_bounded_in_bytes_whatever_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlate, "ROOM", 400)
    one = SigmaDetector(COMPILED["value_count"])
    for number in range(1_000):
        long = "\U0001f600" * 1_000 + str(number)
        names = {"auditID": long, "sourceIPs": [long], "user": {"username": f"{number // 3}{long[:999]}"}}
        send(one, [secret(number, at=number / 1_000, name=long, **names)])
    size = len(msgspec.msgpack.encode(one.correlators[0].dump()))
    texts = AUDIT_ID + MAX_SOURCE + MAX_TARGET + MAX_VALUE
    assert 400 * texts < size < 500 * (texts + 120) + 500 * AUDIT_ID + 1_000
    assert one.evicted > 0


def test_long_values_that_differ_stay_different() -> None:
    ones = [one._replace(name="x" * 500 + one.name) for one in TOGETHER]
    assert [found.count for found in detected("value_count", ones)] == [3]


@pytest.mark.parametrize("text", ["x" * 200, "ü" * 200, "\U0001f600" * 200])
def test_a_text_is_shortened_to_its_bytes_and_a_short_one_is_left(text: str) -> None:
    assert 120 < len(short(text, MAX_VALUE).encode()) <= MAX_VALUE
    assert short(text, MAX_VALUE) != short(text + text, MAX_VALUE)
    assert short(text[:20], MAX_VALUE) == text[:20]
