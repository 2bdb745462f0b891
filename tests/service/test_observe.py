"""When clusters were heard of, and how old their events were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.event import SECOND, rfc3339
from detector.formats import Batch, decode_batch
from detector.metrics import Metrics
from detector.service.marked import marked_body
from detector.service.observe import Observe
from detector.store import deliveries
from detector.store.deliveries import Message, Terms
from detector.store.directory import Store
from detector.store.entry import Appended
from detector.web import Heard
from tests.sinks.doubles import FakeClock, alert
from tests.support import batch, event

NEW, RESENT = Appended(1), Appended(1, resent=True)


class Observed:
    """An observer whose clock is set by hand."""

    def __init__(self, store: Store) -> None:
        self.metrics, self.clock = Metrics(), FakeClock()
        self.observe = Observe(self.metrics, store, self.clock)

    @property
    def now(self) -> int:
        return self.clock.now()

    def journaled(self, one: Batch, appended: Appended = NEW) -> Heard | None:
        self.observe.journaled("prod", one, 1_000, appended)
        return self.observe.heard.get("prod")

    def shown(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"cluster": "prod"})


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Observed]:
    with Store(tmp_path) as store:
        yield Observed(store)


def aged(observed: Observed, *ages: float | None) -> Batch:
    """Give a batch of events that are so many seconds old; None: they do not say."""
    times = [None if age is None else rfc3339(observed.now - int(age * SECOND)) for age in ages]
    events = (event(at, requestReceivedTimestamp=time, stageTimestamp=time) for at, time in enumerate(times))
    return batch(*events)


@pytest.mark.parametrize(("ages", "told"), [((9, 2), 2.0), ((9, -5), -5.0), ((9, None), None)])
def test_a_batch_tells_how_old_its_last_event_is(
    observed: Observed, ages: tuple[float | None, ...], told: float | None
) -> None:
    heard = observed.journaled(aged(observed, *ages))
    assert heard == Heard(observed.now, told)
    assert observed.shown("redshank_last_batch_timestamp_seconds") == observed.now / SECOND
    assert observed.shown("redshank_batch_age_seconds") == told


def test_what_comes_again_says_that_somebody_is_there_and_nothing_of_clocks(observed: Observed) -> None:
    observed.journaled(aged(observed, 2))
    observed.clock.time += 60
    heard = observed.journaled(aged(observed, 70), RESENT)
    assert heard == Heard(observed.now, 2.0)


def test_a_test_is_no_sign_of_life_and_counts_as_a_batch(observed: Observed) -> None:
    assert observed.journaled(decode_batch(marked_body("5e", "a", observed.now))) is None
    assert observed.shown("redshank_last_batch_timestamp_seconds") is None
    assert (
        observed.metrics.registry.get_sample_value(
            "redshank_batches_total", {"cluster": "prod", "outcome": "journaled"}
        )
        == 1
    )


def measured(observed: Observed, *sinks: str) -> dict[tuple[str, str], float]:
    """Give what metrics say of sinks, when these are configured."""
    observed.observe._sinks(sinks, observed.observe.store.state.outbox_depth(), observed.now)
    samples = (sample for family in observed.metrics.registry.collect() for sample in family.samples)
    return {(one.name, one.labels["sink"]): one.value for one in samples if "sink" in one.labels}


def test_what_waits_is_told_of_every_sink_also_of_those_configured_no_more(observed: Observed) -> None:
    state = observed.observe.store.state
    state.emit(0, [alert(0), alert(1)], [Message("old", 0), Message("old", 1)]).result(20)
    told = measured(observed, "new")
    assert (told["redshank_outbox_alerts", "old"], told["redshank_outbox_alerts", "new"]) == (2, 0)
    assert told["redshank_outbox_bytes", "old"] > 500
    assert ("redshank_outbox_oldest_seconds", "old") not in told, "nobody can help it"
    assert told["redshank_outbox_oldest_seconds", "new"] == 0
    state.delivered([row.id for row in state.due("old", 1 << 62, 9)]).result(20)
    assert not [name for name, _ in measured(observed) if name.startswith("redshank_outbox")]


def test_what_gave_way_and_what_is_lost_is_counted_once(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_BURIED", 2)
    for offset in range(6):
        message = Message("siem", 0, Terms(rows=1))
        observed.observe.store.state.emit(offset, [alert(offset)], [message]).result(20)
        measured(observed)
    told = measured(observed)
    assert told["redshank_displaced_deliveries_total", "siem"] == 5
    assert told["redshank_lost_deliveries_total", "siem"] == 3
    assert told["redshank_buried_deliveries", "siem"] == 2


@pytest.mark.parametrize(
    ("clusters", "days", "known"), [((), 0, True), (("prod",), 90, True), ((), 8, False), (("other",), 0, False)]
)
def test_after_a_restart_it_knows_when_clusters_were_heard(
    observed: Observed, clusters: tuple[str, ...], days: int, known: bool
) -> None:
    heard = observed.journaled(aged(observed, 2))
    observed.observe.remember()
    observed.observe.store.state.set_meta("x", "y").result(20)
    again = Observed(observed.observe.store)
    again.clock.time += days * 86_400
    again.observe.recall(clusters)
    assert again.observe.heard == ({"prod": heard} if known else {})
    assert again.shown("redshank_last_batch_timestamp_seconds") == (observed.now / SECOND if known else None)
