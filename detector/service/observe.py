"""What the daemon's metrics are told, by whom it concerns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from aiohttp import web

from detector.event import SECOND
from detector.finding import Alert
from detector.formats import Batch
from detector.metrics import Metrics
from detector.service.folding import Folding
from detector.service.marked import is_marked
from detector.service.messages import Told
from detector.service.readings import Reading
from detector.sinks.base import Clock
from detector.sources.webhook import Answer
from detector.store.deliveries import NOTHING, Delivery, Depth
from detector.store.directory import Store
from detector.store.entry import Appended
from detector.web import Heard

HEARD = "heard"
"""Under this name the state keeps when each cluster was heard of last."""
FORGOTTEN = 7 * 86_400 * SECOND
"""Microseconds after which a start forgets a cluster that is silent, and named nowhere."""


class Observe:
    """Counts what happens. Gauges are brought up to date when somebody reads them (`measure`)."""

    def __init__(self, metrics: Metrics, store: Store, clock: Clock) -> None:
        self.metrics, self.store, self.clock = metrics, store, clock
        self.started_at = clock.now()
        self.silenced: dict[str, int] = {}
        """By id of a suppression: how many findings it has silenced."""
        self.heard: dict[str, Heard] = {}
        """When API servers of each cluster sent something last. The batches of a test do not count."""
        self._restarts = 0
        self._depths: dict[str, Depth] = {}
        metrics.journal.limit.set(store.journal.limit)

    def recall(self, clusters: Collection[str]) -> None:
        """Go on from what was heard before the start, of these clusters, or of any lately where none are named."""
        heard = msgspec.json.decode(self.store.state.meta(HEARD) or "{}", type=dict[str, Heard])
        for name, one in heard.items():
            if name in clusters or (not clusters and self.clock.now() - one.last_at < FORGOTTEN):
                self.heard[name] = one
                self.metrics.intake.heard(name, one.last_at / SECOND, one.age)

    def remember(self) -> None:
        """Keep what was heard for the next start."""
        self.store.state.set_meta(HEARD, msgspec.json.encode(self.heard).decode())

    def accepted(self, answer: Answer, seconds: float) -> None:
        """Count what became of the body of a request, after so many seconds."""
        if answer.retry_after is not None:
            self.metrics.journal.full.inc()
        elif answer.status < web.HTTPBadRequest.status_code:
            self.metrics.journal.commit.observe(seconds)
        else:
            self.buried()

    def buried(self, kind: str = "body", count: int = 1) -> None:
        """Count what went to the dead letters: a ``body``, an ``item``, a ``delivery``."""
        if count:
            self.metrics.intake.dead_letters.labels(kind).inc(count)

    def passed_over(self) -> None:
        """Count an entry of the journal that the fold died of, and that went to the dead letters."""
        self.metrics.fold.passed_over.inc()
        self.buried()

    def journaled(self, cluster: str, batch: Batch, size: int, appended: Appended) -> None:
        """Count a batch that is in the journal."""
        self.metrics.intake.batch(cluster, size, resent=appended.resent)
        if not is_marked(batch):
            self._hear(cluster, batch, resent=appended.resent)
        self.buried("item", batch.refused)

    def _hear(self, cluster: str, batch: Batch, *, resent: bool) -> None:
        now, known = self.clock.now(), self.heard.get(cluster)
        time = batch.events[-1].time if batch.events and not resent else None
        age = (now - time) / SECOND if time is not None else known.age if known is not None else None
        self.heard[cluster] = Heard(now, age)
        self.metrics.intake.heard(cluster, now / SECOND, age)

    def told(self, told: Told) -> None:
        """Count what the fold told, once it is stored."""
        self.silenced = told.silenced
        self.metrics.fold.rules.set(told.rules)
        for name, sizes in told.sizes.items():
            self.metrics.alerts.open.labels(name).set(sizes["alerts"])
            for part, entries in sizes.items():
                self.metrics.fold.entries.labels(name, part).set(entries)
        for name, counters in told.counters.items():
            self.metrics.fold.clusters[name] = counters.numbers()
        self.buried("item", len(told.failed))
        now = self.clock.now()
        for alert in told.alerts:
            self.metrics.alerts.alerts.labels(alert.level.name, alert.change).inc()
            if alert.change == "opened":
                self.metrics.alerts.delay.observe(_since(alert, now))

    def delivered(self, sink: str, outcome: str, rows: Sequence[Delivery]) -> None:
        """Count what became of rows of the outbox."""
        self.metrics.alerts.deliveries.labels(sink, outcome).inc(len(rows))
        if outcome == "buried":
            self.buried("delivery", len(rows))
        now = self.clock.now()
        for row in rows if outcome == "delivered" else ():
            if row.alert.change == "opened":
                self.metrics.alerts.delivery_delay.labels(sink).observe(_since(row.alert, now))

    def measure(self, reading: Reading, folding: Folding, sinks: Sequence[str]) -> None:
        """Bring gauges up to date."""
        journal, now, lag = self.store.journal, self.clock.now(), self.lag(reading)
        self.metrics.journal.bytes.set(journal.used)
        self.metrics.journal.waiting.set(max(0, journal.depth(folding.offset)))
        self.metrics.journal.oldest.set(lag)
        self.metrics.fold.lag.set(lag)
        self.metrics.fold.memory.set(reading.memory)
        if reading.snapshot is not None:
            taken, size = reading.snapshot
            self.metrics.fold.snapshot.set(taken)
            self.metrics.fold.snapshot_bytes.set(size)
        self.metrics.fold.restarts.inc(folding.restarts - self._restarts)
        self._restarts = folding.restarts
        self._sinks(sinks, reading.depths, now)

    def _sinks(self, names: Sequence[str], left: Mapping[str, Depth], now: int) -> None:
        """Tell of every sink that is configured, or that something is left of."""
        depths = {**dict.fromkeys(names, NOTHING), **left}
        alerts = self.metrics.alerts
        for gauge in (alerts.waiting, alerts.waiting_bytes, alerts.oldest, alerts.buried):
            gauge.clear()
        for sink, depth in depths.items():
            alerts.waiting.labels(sink).set(depth.waiting)
            alerts.waiting_bytes.labels(sink).set(depth.bytes)
            alerts.buried.labels(sink).set(depth.buried)
            before = self._depths.get(sink, NOTHING)
            alerts.displaced.labels(sink).inc(depth.displaced - before.displaced)
            alerts.lost.labels(sink).inc(depth.lost - before.lost)
        for sink in names:  # no other can be helped
            since = depths[sink].oldest or now
            alerts.oldest.labels(sink).set(max(0.0, (now - since) / SECOND))
        self._depths = depths

    def lag(self, reading: Reading) -> float:
        """Give the age in seconds of the oldest entry that is not folded, 0 where all are."""
        return 0.0 if reading.since is None else max(0.0, (self.clock.now() - reading.since) / SECOND)


def _since(alert: Alert, now: int) -> float:
    """Give the seconds since the event that opened an alert, by the API server's clock."""
    return max(0.0, (now - alert.last_seen) / SECOND)
