"""Metrics: names, bounds of labels, and that two daemons in one process do not meet."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from detector.counters import Counters
from detector.metrics import Metrics, _Taken


def exposed(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_two_sets_of_metrics_share_nothing() -> None:
    one, other = Metrics("1"), Metrics("2")
    one.intake.answered(200, 0.1)
    key = ("redshank_webhook_requests_total", (("status", "200"),))
    assert exposed(one)[key] == 1
    assert key not in exposed(other)


def test_every_name_is_ours_or_the_process_own() -> None:
    names = {name for name, _ in exposed(Metrics())}
    assert {name.partition("_")[0] for name in names} == {"redshank", "process", "python"}


def test_counters_of_the_fold_are_taken_over_as_they_stand() -> None:
    metrics = Metrics()
    for events in (5, 7, 7):
        metrics.fold.clusters["prod"] = {"events": events, "late": 2}
    values = exposed(metrics)
    assert values["redshank_events_total", (("cluster", "prod"),)] == 7
    assert values["redshank_events_marked_total", (("cluster", "prod"), ("what", "late"))] == 2


def test_every_counter_of_the_fold_is_shown() -> None:
    assert set(_Taken.NAMES) == set(Counters.__struct_fields__)


@pytest.mark.parametrize("resent", [True, False])
def test_a_batch_is_counted_under_its_cluster(resent: bool) -> None:
    metrics = Metrics()
    metrics.intake.batch("prod", 1_000, resent=resent)
    values = exposed(metrics)
    outcome = "resent" if resent else "journaled"
    assert values["redshank_batches_total", (("cluster", "prod"), ("outcome", outcome))] == 1
    assert values["redshank_batch_bytes_total", (("cluster", "prod"),)] == 1_000


def test_when_a_cluster_was_heard_of_is_told_and_how_old_its_events_were() -> None:
    metrics = Metrics()
    for at, age in ((12.5, -3.0), (13.5, None)):
        metrics.intake.heard("prod", at, age)
    values = exposed(metrics)
    assert values["redshank_last_batch_timestamp_seconds", (("cluster", "prod"),)] == 13.5
    assert values["redshank_batch_age_seconds", (("cluster", "prod"),)] == -3.0


def test_no_series_is_told_twice() -> None:
    metrics = Metrics()
    metrics.fold.clusters["a"] = {"events": 1}
    metrics.fold.clusters["b"] = {"events": 2}
    lines = [line.rpartition(" ")[0] for line in generate_latest(metrics.registry).decode().splitlines()]
    assert len(lines) == len(set(lines))
