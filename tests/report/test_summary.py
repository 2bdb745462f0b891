"""The summary counts everything and keeps little."""

from __future__ import annotations

from collections import Counter

from detector.event import SECOND
from detector.finding import Level
from detector.formats import Batch
from detector.formats.batch import Rejected
from detector.report import actors, timeline
from detector.report.actors import Actors
from detector.report.summary import OTHER, PLACES, REASONS, Summary, place
from detector.report.timeline import Timeline
from tests.report.making import START, alert
from tests.support import event


def test_the_best_are_kept_by_level_then_by_time() -> None:
    summary = Summary(kept=3)
    for number, level in enumerate([Level.low, Level.critical, Level.low, Level.critical, Level.low]):
        summary.alert(alert(number, level))
    assert [one.id[-1] for one in summary.best()] == ["1", "3", "0"]
    assert (summary.total, summary.highest) == (5, Level.critical)
    assert all(one.samples == () for one in summary.best())


def test_order_of_arrival_makes_no_difference() -> None:
    made = [alert(number, Level.critical if number % 3 else Level.low) for number in range(50)]
    forward, backward = Summary(kept=10), Summary(kept=10)
    for one in made:
        forward.alert(one)
    for one in reversed(made):
        backward.alert(one)
    assert forward.best() == backward.best()


def test_below_the_level_only_the_count_is_kept() -> None:
    summary = Summary(Level.high)
    summary.alert(alert())
    assert (summary.total, summary.shown, summary.best(), len(summary.actors)) == (1, 0, [], 0)
    assert summary.levels == Counter({Level.low: 1})


def test_incidents_are_kept_apart_and_those_that_went_on_as_another_are_left_out() -> None:
    summary = Summary()
    summary.alert(alert(1))
    summary.alert(alert(2, Level.critical, kind="incident"))
    summary.alert(alert(3, Level.critical, kind="incident", incident=f"{2:032x}"))
    assert (summary.total, summary.incidents, summary.highest) == (1, Counter({Level.critical: 1}), Level.critical)
    assert [one.id for one in summary.stories()] == [f"{2:032x}"]
    assert [one.id for one in summary.best()] == [f"{1:032x}"]


def test_tactics_count_alerts() -> None:
    summary = Summary()
    for one in (alert(), alert(1), alert(2, Level.critical)):
        summary.alert(one)
    assert summary.tactics() == [("execution", 2), ("persistence", 1), ("privilege-escalation", 1)]


def rejected(reason: str, line: int | None) -> Batch:
    return Batch(rejected=[Rejected(reason, 3, "00", line=line)], path="a.jsonl")


def test_rejections_are_counted_by_reason_with_the_first_places() -> None:
    summary = Summary()
    for line in range(1, 9):
        summary.batch(rejected("not JSON", line))
    entry = summary.rejected["not JSON"]
    assert (entry.count, entry.places) == (8, [f"a.jsonl:{line}" for line in range(1, PLACES + 1)])


def test_reasons_are_bounded() -> None:
    summary = Summary()
    for number in range(REASONS * 2):
        summary.batch(rejected(f"reason {number}", 1))
    assert len(summary.rejected) == REASONS + 1
    assert summary.rejected[OTHER].count == REASONS


def test_places_are_told_as_far_as_they_are_known() -> None:
    assert [place("a", 1), place("a", None), place("", 1), place("", None)] == ["a:1", "a", "line 1", ""]


def test_the_time_span_is_that_of_the_events() -> None:
    summary = Summary()
    summary.batch(Batch(events=[event(1, at=5), event(2, at=1), event(3, at=3)]))
    summary.batch(Batch(events=[event(4, at=6), event(5, stageTimestamp=None, requestReceivedTimestamp=None)]))
    assert summary.first is not None
    assert summary.last is not None
    assert summary.last - summary.first == 5 * SECOND


def test_actors_are_ranked_by_level_then_by_alerts() -> None:
    known = Actors()
    for name, level in [("a", Level.low), ("b", Level.low), ("b", Level.low), ("c", Level.critical)]:
        known.add(alert(0, level, actor=name))
    assert [(one.name, one.alerts) for one in known.top(3)] == [("c", 1), ("b", 2), ("a", 1)]


def test_invented_names_cannot_push_out_a_severe_actor() -> None:
    known = Actors()
    known.add(alert(0, Level.critical, actor="eve"))
    for number in range(actors.MOST * 3):
        known.add(alert(1, actor=f"name-{number}"))
    assert known.top(1)[0].name == "eve"
    assert len(known.top(actors.MOST * 4)) <= actors.MOST
    assert len(known) == actors.MOST * 3 + 1


def test_a_story_is_by_level_then_by_time() -> None:
    known = Actors()
    for number, (title, level) in enumerate(
        [("x", Level.low), ("y", Level.critical), ("x", Level.low), ("z", Level.low)]
    ):
        known.add(alert(number, level, title=title))
    (actor,) = known.top(1)
    assert [title for title, _, _ in actor.story(2)] == ["y", "x"]
    for number in range(50):
        known.add(alert(number, title=f"title {number}"))
    assert len(actor.acts) == actors.LISTED
    assert "y" in actor.acts


def test_the_timeline_is_bounded_and_loses_no_alert() -> None:
    line = Timeline()
    for number in range(timeline.SLOTS * 10):
        line.add(START + number * 7 * SECOND, Level.low)
    assert len(line._slots) <= timeline.SLOTS
    bars = line.bars(START, START + timeline.SLOTS * 70 * SECOND, 60)
    assert sum(count for count, _ in bars) == timeline.SLOTS * 10
    assert max(count for count, _ in bars) <= 2 * timeline.SLOTS * 10 // 60


def test_bars_carry_the_highest_level() -> None:
    line = Timeline()
    line.add(START, Level.low)
    line.add(START, Level.critical)
    assert line.bars(START, START + 10 * SECOND, 2) == [(2, Level.critical), (0, Level.informational)]
