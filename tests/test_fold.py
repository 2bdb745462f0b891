"""The fold: deterministic, restorable at any point, and right about time and duplicates."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import RuleError, SnapshotError
from detector.event import SECOND, Event
from detector.finding import DISMISSED, Alert, Verdict
from detector.fold import CHECKSUM, MAGIC, OTHERS, Fold
from detector.formats import Batch
from detector.record import Record, Rules, Tick
from detector.sigma.source import RuleFile
from detector.watermark import BELIEVED, FORWARD, LATENESS, SKEW
from tests.support import batch, correlation, event, fold_with, rule, rule_file, seconds, secret, time_at

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
    log = records(*bodies)
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
    assert (fold.stats().events, fold.stats().duplicates, fold.stats().findings) == (3, 1, 2)


def test_a_reused_audit_id_hides_nothing() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(*[secret(1, at=at, name=f"s{at}") for at in range(3)])))
    assert fold.stats().duplicates == 0
    assert {alert.title: alert.count for alert in fold.finish()} == {"read": 3, "names": 3}


def test_time_is_bounded_by_the_time_at() -> None:
    fold = fold_with(*DOCUMENTS)
    (told,) = run(fold, *records(batch(secret(at=10**6)), received_at=time_at(0)))
    assert told.first_seen == time_at(0) + SKEW


def test_late_events_are_detected_and_counted() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(event(0, at=1000), secret(1, at=1000 - LATENESS // SECOND - 1))))
    assert (fold.stats().late, fold.stats().findings) == (1, 1)


def test_one_archived_event_of_2099_does_not_move_time() -> None:
    fold = fold_with(*DOCUMENTS)
    far = 70 * 365 * 86_400
    run(fold, *records(batch(event(0), secret(1, at=far), secret(2, at=2))))
    assert fold.stats().clamped == 1
    assert seconds(fold.cluster("").watermark.now) == 2
    assert {round(seconds(alert.first_seen)) for alert in fold.finish()} == {0}


def test_a_gap_is_believed_when_events_follow_it() -> None:
    fold = fold_with(*DOCUMENTS)
    gap = 3 * FORWARD / SECOND
    run(fold, *records(batch(event(0), *[event(1 + n, at=gap + n) for n in range(BELIEVED)])))
    assert seconds(fold.cluster("").watermark.now) == gap + BELIEVED - 1


def test_an_archive_that_goes_back_in_time_is_followed_back() -> None:
    fold = fold_with(*DOCUMENTS)
    events = [event(0, at=10**5), *[event(1 + n, at=n) for n in range(BELIEVED)]]
    reads = [secret(10 + n, at=10 + n) for n in range(5)]
    run(fold, *records(batch(*events, *reads)))
    assert seconds(fold.cluster("").watermark.now) == 14
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
    assert fold.stats().undated == 1
    assert [seconds(alert.first_seen) for alert in fold.finish()] == [7]


def test_a_tick_closes_alerts() -> None:
    fold = fold_with(*DOCUMENTS)
    told = run(fold, *records(batch(secret()), Tick(time=time_at(601))))
    assert [(alert.status, alert.revision) for alert in told] == [("open", 1), ("closed", 2)]


def test_a_tick_closes_alerts_of_a_cluster_that_is_silent_beside_a_busy_one() -> None:
    fold = fold_with(DOCUMENTS[0])
    run(
        fold,
        Record(1, batch(secret()), time_at(0), "silent"),
        Record(2, batch(secret(1, at=590)), time_at(590), "busy"),
    )
    fold = Fold.restore(fold.snapshot())
    told = run(fold, Record(3, batch(secret(2, at=600)), time_at(600), "busy"), Record(4, Tick(time_at(601))))
    assert [(alert.cluster, alert.change) for alert in told if alert.change == "closed"] == [("silent", "closed")]


def test_a_tick_does_not_hurry_a_cluster_that_was_just_heard() -> None:
    fold = fold_with(DOCUMENTS[0])
    run(fold, Record(1, batch(secret()), time_at(400)), Record(2, Tick(time_at(429))))
    assert seconds(fold.cluster("").watermark.now) == 0
    run(fold, Record(3, Tick(time_at(430))))
    assert seconds(fold.cluster("").watermark.now) == 430


def test_new_rules_take_over_without_losing_windows() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(*[secret(n, at=n) for n in range(4)])))
    run(fold, Record(5, Rules((rule_file(*DOCUMENTS, rule("new", {"s": {"verb": "zap"}, "condition": "s"})),))))
    told = run(fold, Record(6, batch(secret(9, at=4))))
    assert "five" in {alert.title for alert in told}


def test_unusable_rules_leave_the_fold_as_it_was() -> None:
    fold = fold_with(*DOCUMENTS)
    before = fold.snapshot()
    changes = fold.fold(Record(fold.offset, Rules((RuleFile("bad.yml", "title: x"),))))
    assert isinstance(changes.refused, RuleError)
    assert fold.snapshot() == before


@pytest.mark.parametrize(
    "harm", [lambda s: s[:-1], lambda s: s[:20], lambda s: b"x" + s, lambda s: s[:15] + b"\x63" + s[16:]]
)
def test_a_harmed_snapshot_is_refused(harm: Any) -> None:
    with pytest.raises(SnapshotError):
        Fold.restore(harm(fold_with(*DOCUMENTS).snapshot()))


@pytest.mark.parametrize("harm", [{"clusters": {"a": {}}}, {"control": 7}, {"suppressions": None}, {"clusters": []}])
def test_a_whole_snapshot_of_another_shape_is_refused(harm: Any) -> None:
    whole = fold_with(*DOCUMENTS).snapshot()
    begin = len(MAGIC) + 1 + CHECKSUM
    packed = msgspec.msgpack.encode({**msgspec.msgpack.decode(whole[begin:]), **harm})
    sound = whole[: len(MAGIC) + 1] + blake2b(packed, digest_size=CHECKSUM).digest() + packed
    with pytest.raises(SnapshotError, match="something else"):
        Fold.restore(sound)


def test_truncated_events_are_counted() -> None:
    fold = fold_with(*DOCUMENTS)
    run(fold, *records(batch(event(annotations={"audit.k8s.io/truncated": "true"}))))
    assert fold.stats().truncated == 1


def test_clusters_share_rules_and_nothing_else() -> None:
    fold = fold_with(*DOCUMENTS)
    for number in range(10):
        fold.fold(Record(number + 1, batch(secret(number, at=number)), cluster="ab"[number % 2]))
    told = fold.finish()
    assert [(alert.cluster, alert.count) for alert in told if alert.title == "five"] == [("a", 5), ("b", 5)]
    assert len({alert.id for alert in told}) == len(told)
    assert fold.cluster("a").sigma.rules is fold.cluster("b").sigma.rules


def test_clusters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.fold.MAX_CLUSTERS", 3)
    fold = fold_with(*DOCUMENTS)
    for number in range(9):
        fold.fold(Record(number + 1, batch(secret(number)), cluster=f"c{number}"))
    assert list(fold.clusters) == ["c0", "c1", "c2", OTHERS]
    assert fold.stats().events == 9


def test_a_backlog_of_late_events_is_one_alert() -> None:
    fold = fold_with(DOCUMENTS[0])
    late = batch(*[secret(n, at=n) for n in range(200)])
    told = run(fold, *records(batch(event(0, at=10_000)), late, received_at=time_at(10_000))) + fold.finish()
    assert [(alert.count, alert.status) for alert in told] == [(1, "open"), (200, "closed")]


@pytest.mark.parametrize("ahead", [batch(event(99, at=10**7)), Tick(time_at(10**7))], ids=["events", "tick"])
def test_a_clock_that_was_ahead_and_is_set_right_stops_nothing(ahead: Batch | Tick) -> None:
    fold = fold_with(DOCUMENTS[0])
    fold.fold(Record(1, batch(secret(0)), time_at(0)))
    fold.fold(Record(2, ahead, time_at(10**7)))
    told = run(fold, *[Record(3 + n, batch(secret(n + 1, at=n)), time_at(n)) for n in range(700)])
    assert fold.stats().set_back == 1
    assert [alert.change for alert in told] == ["opened", "updated", "closed", "opened"]


def test_an_archive_that_begins_in_2099_swallows_no_alert() -> None:
    fold = fold_with(DOCUMENTS[0])
    day = 86_400
    told = run(fold, *records(batch(secret(0, at=70 * 365 * day), *[secret(n, at=700 * n) for n in range(1, 20)])))
    assert len({alert.id for alert in told + fold.finish()}) == 18


def test_an_event_that_makes_us_fail_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = fold_with(*DOCUMENTS)
    check = fold.cluster("").sigma.check

    def fails(one: Event, now: int) -> Any:
        if one.auditID == "test-1":
            raise RuntimeError("inside")
        return check(one, now)

    monkeypatch.setattr(fold.cluster("").sigma, "check", fails)
    changes = fold.fold(Record(1, batch(secret(0), secret(1), secret(2))))
    assert len(changes.findings) == 2
    assert fold.stats().failed == 1
    assert changes.failed == [(secret(1).fingerprint, "RuntimeError")]


def test_an_event_that_cannot_be_told_from_others_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = fold_with(*DOCUMENTS)
    whole = Event.digest

    def digest(one: Event) -> bytes:
        if one.auditID == "test-1":
            raise UnicodeEncodeError("utf-8", "", 0, 1, "a lone surrogate")
        return whole(one)

    monkeypatch.setattr(Event, "digest", digest)
    changes = fold.fold(Record(1, batch(secret(0), secret(1), secret(2))))
    assert len(changes.findings) == 2
    assert changes.failed == [("", "UnicodeEncodeError")]


def test_a_cluster_in_which_time_cannot_pass_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = fold_with(*DOCUMENTS)
    for name in ("one", "two"):
        fold.fold(Record(1, batch(secret(0)), time_at(0), name))

    def fails(now: int) -> Any:
        raise RuntimeError("inside")

    monkeypatch.setattr(fold.clusters["one"].alerts, "expire", fails)
    changes = fold.fold(Record(2, Tick(time_at(3600))))
    assert [alert.cluster for alert in changes.alerts] == ["two"]
    assert changes.failed == [("", "RuntimeError")]


def test_a_dismissed_alert_is_told_no_more_until_it_closes() -> None:
    fold = fold_with(DOCUMENTS[0])
    (opened,) = run(fold, Record(1, batch(secret(0))))
    verdict = Verdict(opened.id, DISMISSED, "kim", "known", time_at(1))
    assert fold.fold(Record(2, verdict)).decided == [verdict]
    fold = Fold.restore(fold.snapshot())
    told = run(fold, *[Record(3 + n, batch(secret(n + 1, at=60 * n))) for n in range(11)])
    assert [(alert.change, alert.count) for alert in told] == [("closed", 11), ("opened", 1)]


def test_a_snapshot_with_rules_that_are_refused_by_now_goes_on_with_the_others() -> None:
    fold = fold_with(*DOCUMENTS)
    good, bad = rule_file(DOCUMENTS[0], path="good.yml"), RuleFile("bad.yml", "title: x")
    fold.control = Rules((bad, good))
    restored = Fold.restore(fold.snapshot())
    assert [error.path for error in restored.unusable] == ["bad.yml"]
    assert len(restored.fold(Record(1, batch(secret()))).findings) == 1
