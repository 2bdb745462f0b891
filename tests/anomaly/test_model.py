"""The model of a cluster: thresholds that set themselves, evidence, quarantine, and a state that restores exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.anomaly.calibration import BINS, FINE, Calibration, tail
from detector.anomaly.evidence import Evidence
from detector.anomaly.model import Judgement, Model, Settings
from detector.anomaly.starter import begin, extract, starter
from detector.formats import decode_event
from tests.anomaly.streams import SECOND, START, request, routine

DAY = 3_600.0
"""Seconds of a day in these tests."""
QUICK = Settings(day=DAY)


def run(model: Model, stream: Iterable[dict[str, Any]]) -> list[Judgement]:
    return [model.judge(x) for x in stream]


@pytest.fixture(scope="module")
def state() -> bytes:
    """Give the state of a model that knows six hours of routine, with an oddity of a person now and then."""
    model = Model(QUICK)
    for x in routine(360):
        model.judge(x)
        if (x["time"] - START) % (700 * SECOND) == 0 and x["actor"] == "ann":
            model.judge(dict(x, action=f"get things-{x['time'] % 13}", namespace="lab"))
    return msgspec.msgpack.encode(model.dump())


@pytest.fixture
def warm(state: bytes) -> Model:
    model = Model(QUICK)
    model.load(msgspec.msgpack.decode(state))
    return model


def attack(at: float = 21_605, **more: Any) -> dict[str, Any]:
    return request("ops:exporter", "list secrets", at, namespace="payments", agent="curl", **more)


def test_it_says_nothing_before_it_is_warm() -> None:
    model = Model(QUICK)
    judged = run(model, [*routine(5), attack(300)])
    assert model.progress < 1
    assert not any(one.alert for one in judged)


def test_progress_climbs_to_one(warm: Model) -> None:
    model, climbed = Model(QUICK), list[float]()
    for x in routine(400):
        model.judge(x)
        climbed.append(model.progress)
    assert climbed == sorted(climbed)
    assert warm.progress == 1


def test_an_attack_is_told_with_reasons_that_add_up(warm: Model) -> None:
    judged = warm.judge(attack())
    assert judged.alert
    assert judged.level >= judged.threshold
    assert math.isclose(sum(bits for _, _, bits in judged.parts), judged.score)
    assert judged.parts[0][2] == max(bits for _, _, bits in judged.parts)


def test_a_novelty_is_told_once_and_stays_a_novelty(warm: Model) -> None:
    judged = run(warm, [attack(21_605 + 60 * number) for number in range(10)])
    assert [one.alert for one in judged] == [True] + [False] * 9
    assert judged[9].score > judged[0].score / 2


def test_what_was_told_is_learnt_on_the_third_day(warm: Model) -> None:
    judged = run(warm, [attack(21_605 + DAY * day) for day in range(8)])
    assert judged[1].score > judged[0].score / 2
    assert judged[-1].score < judged[0].score - 5


def test_dismissing_teaches(warm: Model) -> None:
    first = warm.judge(attack())
    warm.dismiss("ops:exporter", "list secrets", first.level)
    for minute in range(1, 4):
        warm.judge(attack(21_605 + 60 * minute))
    assert warm.judge(attack(21_605 + 600)).score < first.score - 5


def test_ten_thousand_repetitions_in_an_hour_do_not_hide_the_next_attack(warm: Model) -> None:
    run(warm, [attack(21_605 + number / 3) for number in range(10_000)])
    assert warm.judge(attack(21_605 + 3_600, address="10.9.9.9", form="watch=true")).alert


def test_an_attack_does_not_raise_the_threshold(warm: Model) -> None:
    before = warm.calibration.threshold
    for number in range(200):
        warm.judge(request(f"eve-{number}", f"list vaults-{number}", 21_605 + 30 * number, namespace=f"n-{number}"))
    run(warm, routine(10, 21_605 + 7_000))
    assert warm.calibration.threshold < before + 6


def test_a_new_person_of_a_known_team_causes_at_most_one_incident(warm: Model) -> None:
    days = [dict(x, actor="dora", address="10.0.0.77") for x in routine(60, 21_605) if x["actor"] == "bob"]
    judged = run(warm, days)
    windows = {x["time"] // int(DAY / 12 * SECOND) for x, one in zip(days, judged, strict=True) if one.alert}
    assert len(windows) <= 1


def test_restored_and_uninterrupted_models_judge_alike(warm: Model, state: bytes) -> None:
    twin = Model(QUICK)
    twin.load(msgspec.msgpack.decode(state))
    for number, x in enumerate([*routine(20, 21_605), attack(22_900), *routine(5, 22_910)]):
        if number % 41 == 0:
            other = Model(QUICK)
            other.load(msgspec.msgpack.decode(msgspec.msgpack.encode(twin.dump())))
            twin = other
        assert twin.judge(x) == warm.judge(x)


def test_a_state_of_another_version_is_refused(warm: Model) -> None:
    with pytest.raises(ValueError, match="version"):
        warm.load({**warm.dump(), "version": 99})


def test_the_end_of_a_request_is_judged_as_its_start_and_learnt_once() -> None:
    model = Model()
    record = {"auditID": "1", "verb": "watch", "requestURI": "/api/v1/pods?watch=true", "user": {"username": "ann"}}
    started = decode_event(json.dumps({**record, "stage": "ResponseStarted"}).encode())
    ended = decode_event(json.dumps({**record, "stage": "ResponseComplete"}).encode())
    first, last = (model.check(event, START) for event in (started, ended))
    assert first.score == last.score
    assert model.calibration.events == 1


def test_trees_are_behind_the_same_interface_and_restore_exactly() -> None:
    model = Model(Settings(day=DAY, estimator="trees"))
    run(model, routine(60))
    other = Model(Settings(day=DAY, estimator="trees"))
    other.load(msgspec.msgpack.decode(msgspec.msgpack.encode(model.dump())))
    rest = [*routine(10, 3_605), attack(4_300)]
    assert run(other, rest) == run(model, rest)


# Calibration.


def test_the_tail_gives_the_score_that_so_many_exceed() -> None:
    counts = [0.0] * BINS
    for number in range(10_000):  # exponential with a mean of four bits
        counts[min(BINS - 1, int(-4 * math.log((number + 0.5) / 10_000) * FINE))] += 1
    for allowed in (1, 5, 50):
        assert tail(counts, allowed) == pytest.approx(4 * math.log(10_000 / allowed), abs=1.5)


def test_a_larger_budget_gives_a_lower_threshold() -> None:
    counts = [float(BINS - place) for place in range(BINS)]
    assert tail(counts, 50) < tail(counts, 5) < tail(counts, 0.5)


def test_nothing_counted_gives_no_threshold() -> None:
    assert tail([0.0] * BINS, 1) == math.inf


def test_what_was_dismissed_raises_the_threshold() -> None:
    one = Calibration(5, DAY)
    one.begin_with([10.0] * 80, 1.0)
    before = one.threshold
    for _ in range(10):
        one.excuse(before + 10)
    assert one.threshold > before


# Evidence.


def test_evidence_adds_up_and_fades() -> None:
    one = Evidence(300)
    lifts = [one.weigh(("actor ann",), 18, START + number * SECOND) for number in range(10)]
    assert lifts[0] == 0
    assert lifts == sorted(lifts)
    assert one.weigh(("actor ann",), 5, START + 3_600 * SECOND) < lifts[-1] / 4
    assert one.weigh(("actor bob",), 18, START) == 0


def test_evidence_follows_the_address_when_the_actor_changes() -> None:
    one = Evidence(300)
    one.weigh(("actor ann", "address 10.0.0.1"), 40, START)
    assert one.weigh(("actor bob", "address 10.0.0.1"), 18, START + SECOND) > 1


# The starter.


def test_the_shipped_starter_gives_a_threshold_at_once() -> None:
    model = Model()
    begin(model, starter())
    assert 15 < model.calibration.threshold < 60


def test_a_starter_is_the_average_of_what_models_learnt(warm: Model) -> None:
    made = extract([warm, warm])
    other = Model(QUICK)
    begin(other, made)
    assert other.calibration.threshold == pytest.approx(warm.calibration.threshold, abs=6)


def test_a_starter_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "starter.json").write_text('{"version": 2}')
    with pytest.raises(ValueError, match="version 2"):
        starter(tmp_path / "starter.json")
