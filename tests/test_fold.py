"""The fold: deterministic, restorable at any point, and right about time and duplicates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import RuleError, SnapshotError
from detector.event import SECOND, Event
from detector.finding import Alert
from detector.fold import BELIEVED, FORWARD, LATENESS, SKEW, Fold, Record, Rules, Tick
from detector.formats import Batch
from detector.sigma.selftest import START
from detector.sigma.source import RuleFile
from tests.support import batch, correlation, event, fold_with, rule, rule_file, seconds, secret

DOCUMENTS = (
    rule("read", level="medium"),
    rule("delete", {"sel": {"verb": "delete"}, "condition": "sel"}, level="high"),
    correlation("five", "event_count", ["read"], {"gte": 5}, generate=True),
    correlation("names", "value_count", ["read"], {"gte": 3, "field": "objectRef.name"}, generate=True),
    correlation("turn", "temporal_ordered", ["read", "delete"], generate=True),
)


def run(fold: Fold, *records: Record) -> list[Alert]:
    return [alert for record in records for alert in fold.fold(record).alerts]


def records(*bodies: Batch | Tick | Rules, received_at: int | None = None, first: int = 1) -> list[Record]:
    return [Record(first + number, body, received_at) for number, body in enumerate(bodies)]


moments = st.floats(0, 900, allow_nan=False).map(lambda at: round(at, 3))
streams = st.lists(
    st.tuples(moments, st.sampled_from(["get", "delete", "list"]), st.sampled_from("abcd"), st.sampled_from("xyz")),
    max_size=60,
)


def event_of(number: int, one: tuple[float, str, str, str]) -> Event:
    at, verb, name, user = one
    return secret(number % 50, at=at, verb=verb, name=name, user={"username": user})


@settings(max_examples=60, deadline=None)
@given(streams, st.integers(0, 60), st.integers(1, 7))
def test_a_restored_fold_goes_on_as_if_nothing_had_been(
    stream: list[tuple[float, str, str, str]], cut: int, size: int
) -> None:
    events = [event_of(number, one) for number, one in enumerate(sorted(stream))]
    bodies = [batch(*events[start : start + size]) for start in range(0, len(events), size)]
    log = records(*bodies, Tick(time=0))
    straight, broken = fold_with(*DOCUMENTS), fold_with(*DOCUMENTS)
    wanted = run(straight, *log) + straight.finish()
    told = run(broken, *log[:cut])
    broken = Fold.restore(broken.snapshot())
    told += run(broken, *log[cut:]) + broken.finish()
    assert told == wanted
    assert broken.snapshot() == straight.snapshot()


@given(streams, st.integers(1, 9), st.integers(1, 9))
def test_how_events_are_put_into_batches_changes_no_alert(
    stream: list[tuple[float, str, str, str]], one: int, other: int
) -> None:
    def final(size: int) -> dict[str, Alert]:
        events = [event_of(number, item) for number, item in enumerate(sorted(stream))]
        fold = fold_with(*DOCUMENTS)
        told = run(fold, *records(*[batch(*events[at : at + size]) for at in range(0, len(events), size)]))
        return {alert.id: alert for alert in told + fold.finish()}

    assert final(one) == final(other)


def test_a_copy_of_an_event_is_counted_and_nothing_else() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(secret(1)), batch(secret(1), secret(2))))
    assert (fold.counters.events, fold.counters.duplicates, fold.counters.findings) == (3, 1, 2)


def test_a_reused_audit_id_hides_nothing() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(*[secret(1, at=at, name=f"s{at}") for at in range(3)])))
    assert fold.counters.duplicates == 0
    assert {alert.title: alert.count for alert in fold.finish()} == {"read": 3, "names": 3}


def test_time_is_bounded_by_the_arrival() -> None:
    fold = fold_with(*DOCUMENTS)
    (told,) = run(fold, *records(batch(secret(at=10**6)), received_at=arrival(0)))
    assert told.first_seen == arrival(0) + SKEW


def arrival(at: float) -> int:
    return int(START.timestamp() * SECOND + at * SECOND)


def test_late_events_are_detected_and_counted() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(event(0, at=1000), secret(1, at=1000 - LATENESS // SECOND - 1))))
    assert (fold.counters.late, fold.counters.findings) == (1, 1)


def test_one_archived_event_of_2099_does_not_move_time() -> None:
    fold = fold_with(*DOCUMENTS)
    far = 70 * 365 * 86_400
    run(fold, *records(batch(event(0), secret(1, at=far), secret(2, at=2))))
    assert fold.counters.clamped == 1
    assert seconds(fold.watermark) == 2
    assert {round(seconds(alert.first_seen)) for alert in fold.finish()} == {0}


def test_a_gap_is_believed_when_events_follow_it() -> None:
    fold = fold_with(*DOCUMENTS)
    gap = 3 * FORWARD / SECOND
    run(fold, *records(batch(event(0), *[event(1 + n, at=gap + n) for n in range(BELIEVED)])))
    assert seconds(fold.watermark) == gap + BELIEVED - 1


def test_an_archive_that_goes_back_in_time_is_followed_back() -> None:
    fold = fold_with(*DOCUMENTS)
    events = [event(0, at=10**5), *[event(1 + n, at=n) for n in range(BELIEVED)]]
    reads = [secret(10 + n, at=10 + n) for n in range(5)]
    run(fold, *records(batch(*events, *reads)))
    assert seconds(fold.watermark) == 14
    assert "five" in {alert.title for alert in fold.finish()}


@pytest.mark.parametrize("hours", [2, 24 * 30])
def test_the_events_of_a_sparse_archive_keep_their_distance(hours: int) -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(*[secret(n, at=3600 * hours * n) for n in range(25)])))
    assert "five" not in {alert.title for alert in fold.finish()}


def test_a_record_that_holds_more_closes_alerts_at_the_same_moments() -> None:
    def counts(*bodies: Batch) -> list[int]:
        fold = fold_with(DOCUMENTS[0])
        told = run(fold, *records(*bodies)) + fold.finish()
        return [alert.count for alert in told if alert.status == "closed"]

    events = [secret(0, at=0), secret(1, at=601), secret(2, at=599)]
    assert counts(batch(*events)) == counts(*[batch(one) for one in events]) == [1, 2]


def test_an_event_without_a_time_counts_at_the_watermark() -> None:
    fold = fold_with(*DOCUMENTS)
    undated = secret(1, stageTimestamp=None, requestReceivedTimestamp="soon")
    run(fold, *records(batch(event(0, at=7), undated)))
    assert fold.counters.undated == 1
    assert [seconds(alert.first_seen) for alert in fold.finish()] == [7]


def test_a_tick_closes_alerts() -> None:
    fold = fold_with(*DOCUMENTS)
    told = run(fold, *records(batch(secret()), Tick(time=arrival(601))))
    assert [(alert.status, alert.revision) for alert in told] == [("open", 1), ("closed", 2)]


def test_new_rules_take_over_without_losing_windows() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(*[secret(n, at=n) for n in range(4)])))
    run(fold, Record(5, Rules((rule_file(*DOCUMENTS, rule("new", {"s": {"verb": "zap"}, "condition": "s"})),))))
    told = run(fold, Record(6, batch(secret(9, at=4))))
    assert "five" in {alert.title for alert in told}


def test_unusable_rules_leave_the_fold_as_it_was() -> None:
    fold = fold_with(*DOCUMENTS)
    before = fold.snapshot()
    with pytest.raises(RuleError):
        fold.fold(Record(9, Rules((RuleFile("bad.yml", "title: x"),))))
    assert fold.snapshot() == before


@pytest.mark.parametrize(
    "harm", [lambda s: s[:-1], lambda s: s[:20], lambda s: b"x" + s, lambda s: s[:15] + b"\x63" + s[16:]]
)
def test_a_harmed_snapshot_is_refused(harm: Any) -> None:
    with pytest.raises(SnapshotError):
        Fold.restore(harm(fold_with(*DOCUMENTS).snapshot()))


def test_truncated_events_are_counted() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(event(annotations={"audit.k8s.io/truncated": "true"}))))
    assert fold.counters.truncated == 1
