"""Every Prometheus metric, on one page.

The values of labels come from the configuration or from short lists of ours, never from a client: clusters are those
the fold keeps apart. Only what runs once may count here; what a refold would count again is taken over from the fold as
it stands (`FoldMetrics.clusters`). Times are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

without_created: Callable[[], None] = disable_created_metrics  # it has no annotations
# A second series for each counter, which nobody asks for.
without_created()

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Buckets for what an API server waits for; it gives up after 30 s."""
DELAY = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)
"""Buckets for what a person waits for; an API server holds events back for up to 30 s by itself."""


class IntakeMetrics:
    """From the connection to the journal. It is the observer of the webhook."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter("redshank_webhook_requests", "Requests by answer.", ["status"], registry=registry)
        self.seconds = Histogram(
            "redshank_webhook_request_seconds", "From the head to the answer.", buckets=QUICK, registry=registry
        )
        self.connections = Gauge("redshank_webhook_connections", "Connections there are.", registry=registry)
        self.drops = Counter(
            "redshank_webhook_connections_dropped",
            "Connections ended without an answer: failed handshake, slow, crowded out, stopped.",
            ["why"],
            registry=registry,
        )
        self.bytes = Counter("redshank_batch_bytes", "Bytes of batches, decompressed.", ["cluster"], registry=registry)
        self.batches = Counter(
            "redshank_batches",
            "Batches: journaled, or resent and there before.",
            ["cluster", "outcome"],
            registry=registry,
        )
        self.last = Gauge(
            "redshank_last_batch_timestamp_seconds",
            "When the last batch of a cluster came.",
            ["cluster"],
            registry=registry,
        )
        self.age = Gauge(
            "redshank_batch_age_seconds",
            "How old, by our clock, the newest event of that batch was when it came; below 0 the clocks differ.",
            ["cluster"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "redshank_dead_letters", "What could not be used: body, item or delivery.", ["kind"], registry=registry
        )

    def answered(self, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(str(status)).inc()
        self.seconds.observe(seconds)

    def dropped(self, why: str) -> None:
        """Count a connection that ended without an answer."""
        self.drops.labels(str(why)).inc()

    def batch(self, cluster: str, size: int, *, resent: bool) -> None:
        """Count a batch of so many bytes."""
        self.batches.labels(cluster, "resent" if resent else "journaled").inc()
        self.bytes.labels(cluster).inc(size)

    def heard(self, cluster: str, at: float, age: float | None) -> None:
        """Tell that API servers of a cluster sent a batch (seconds since 1970), and how old its newest event was."""
        self.last.labels(cluster).set(at)
        if age is not None:
            self.age.labels(cluster).set(age)


class JournalMetrics:
    """What waits between intake and fold."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.bytes = Gauge("redshank_journal_bytes", "Bytes the journal uses.", registry=registry)
        self.limit = Gauge("redshank_journal_limit_bytes", "Bytes the journal may use.", registry=registry)
        self.waiting = Gauge("redshank_journal_waiting_entries", "Entries not yet folded.", registry=registry)
        self.oldest = Gauge("redshank_journal_oldest_waiting_seconds", "Age of the oldest of them.", registry=registry)
        self.commit = Histogram(
            "redshank_journal_commit_seconds", "From a batch to its commit.", buckets=QUICK, registry=registry
        )
        self.full = Counter("redshank_journal_full", "Batches put off: no room on the disk.", registry=registry)


class FoldMetrics:
    """Detection. `clusters` holds the counters of the fold as they stand, by cluster and name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "redshank_fold_lag_seconds", "Age of the entry the fold is at, 0 when it has caught up.", registry=registry
        )
        self.restarts = Counter("redshank_fold_restarts", "Starts of the fold after it had died.", registry=registry)
        self.passed_over = Counter(
            "redshank_fold_passed_over", "Entries of the journal passed over: the fold died of them.", registry=registry
        )
        self.memory = Gauge(
            "redshank_fold_memory_bytes", "Memory the fold process holds: the state of all clusters.", registry=registry
        )
        self.snapshot = Gauge(
            "redshank_snapshot_timestamp_seconds", "When the newest snapshot was taken.", registry=registry
        )
        self.snapshot_bytes = Gauge("redshank_snapshot_bytes", "Size of the newest snapshot.", registry=registry)
        self.entries = Gauge(
            "redshank_state_entries", "Entries in the maps of the state.", ["cluster", "part"], registry=registry
        )
        self.rules = Gauge("redshank_rules", "Rules in force.", registry=registry)
        self.clusters: dict[str, Mapping[str, int]] = {}
        registry.register(_Taken(self.clusters))


class _Taken(Collector):
    """Counters that another keeps."""

    NAMES: ClassVar = {
        "events": ("redshank_events", "Events taken in.", ""),
        "rejected": ("redshank_items_refused", "Items of batches that are no events.", "rejected"),
        "skipped": ("redshank_items_refused", "", "skipped"),
        "duplicates": ("redshank_events_marked", "Events by what was odd about them.", "duplicate"),
        "late": ("redshank_events_marked", "", "late"),
        "undated": ("redshank_events_marked", "", "undated"),
        "clamped": ("redshank_events_marked", "", "clamped"),
        "truncated": ("redshank_events_marked", "", "truncated"),
        "failed": ("redshank_events_marked", "", "failed"),
        "findings": ("redshank_findings", "Findings.", ""),
        "suppressed": ("redshank_findings_suppressed", "Findings that somebody asked not to be told of.", ""),
        "silenced": ("redshank_findings_filtered", "Findings that filters of rules took away.", ""),
        "failures": ("redshank_rule_failures", "Errors inside rules.", ""),
        "set_back": ("redshank_time_set_back", "Times that a cluster's clock went back.", ""),
        "evicted": ("redshank_evictions", "What was let go because there was too much of it.", "alerts"),
        "let_go": ("redshank_evictions", "", "windows"),
    }
    """Counter of the fold → metric, what it is, value of its label ``what``."""

    def __init__(self, clusters: Mapping[str, Mapping[str, int]]) -> None:
        self.clusters = clusters

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give every family, with a sample for each cluster."""
        families: dict[str, CounterMetricFamily] = {}
        for counter, (name, told, what) in self.NAMES.items():
            labels = ["cluster", "what"] if what else ["cluster"]
            family = families.setdefault(name, CounterMetricFamily(name, told, labels=labels))
            for cluster, values in self.clusters.items():
                family.add_metric([cluster, what] if what else [cluster], values.get(counter, 0))
        yield from families.values()


class AlertMetrics:
    """What people are told, and how soon."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.alerts = Counter("redshank_alerts", "Alert revisions.", ["level", "change"], registry=registry)
        self.open = Gauge("redshank_open_alerts", "Alerts that are open.", ["cluster"], registry=registry)
        self.delay = Histogram(
            "redshank_alert_delay_seconds",
            "From the event's stageTimestamp to the stored alert.",
            buckets=DELAY,
            registry=registry,
        )
        self.waiting = Gauge("redshank_outbox_alerts", "Alerts that wait for a sink.", ["sink"], registry=registry)
        self.oldest = Gauge("redshank_outbox_oldest_seconds", "Age of the oldest of them.", ["sink"], registry=registry)
        self.waiting_bytes = Gauge("redshank_outbox_bytes", "Bytes of these alerts.", ["sink"], registry=registry)
        self.buried = Gauge(
            "redshank_buried_deliveries", "Deliveries among the dead letters.", ["sink"], registry=registry
        )
        self.displaced = Counter(
            "redshank_displaced_deliveries",
            "Alerts that went to the dead letters unsent, as more waited for the sink than may.",
            ["sink"],
            registry=registry,
        )
        self.lost = Counter(
            "redshank_lost_deliveries",
            "Deliveries that went for good, as more were among the dead letters than are kept.",
            ["sink"],
            registry=registry,
        )
        self.deliveries = Counter(
            "redshank_deliveries", "Alerts delivered, retried or buried.", ["sink", "outcome"], registry=registry
        )
        self.delivery_delay = Histogram(
            "redshank_delivery_delay_seconds",
            "From the event's stageTimestamp to the sink's yes.",
            ["sink"],
            buckets=DELAY,
            registry=registry,
        )


class Metrics:
    """All metrics, in a registry of their own: a second one of these shares nothing with the first."""

    def __init__(self, version: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("redshank", "Which redshank this is.", registry=self.registry).info({"version": version})
        self.ready = Gauge("redshank_ready", "1 while batches are accepted.", registry=self.registry)
        self.reloads = Counter(
            "redshank_config_reloads",
            "Changed configurations taken over or refused.",
            ["outcome"],
            registry=self.registry,
        )
        self.intake = IntakeMetrics(self.registry)
        self.journal = JournalMetrics(self.registry)
        self.fold = FoldMetrics(self.registry)
        self.alerts = AlertMetrics(self.registry)
