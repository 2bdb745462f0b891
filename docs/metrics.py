"""Writes docs/metrics.md: every metric of the daemon, from the metrics themselves. ``make docs`` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from detector.metrics import Metrics, _Taken
from detector.report.reference import table

HEAD = """\
# Metrics

What `/metrics` of the [daemon](daemon.md) shows, in the text format of Prometheus or as OpenMetrics. Sizes are in
bytes, times in seconds. Values of labels are names of clusters and sinks, and short lists of ours; no client can make
new ones without end. Beside these there are `process_…` and `python_…` of the client library. Made by
`docs/metrics.py`.

"""
ENDS = {"counter": "_total", "info": "_info"}


def page() -> str:
    """Give the page."""
    return HEAD + table(("Metric", "Type", "Labels", "Meaning"), rows(Metrics()))


def rows(metrics: Metrics) -> Iterator[tuple[str, ...]]:
    """Give name, type, labels and meaning of each, those first that are kept here, then those taken from the fold."""
    told = set[str]()
    for part in (metrics, metrics.intake, metrics.journal, metrics.fold, metrics.alerts):
        for one in vars(part).values():
            if isinstance(one, MetricWrapperBase):
                (family,) = one.describe()
                told.add(family.name)
                yield _row(family, one._labelnames)
    for family in metrics.registry.collect():
        if family.name.startswith("redshank") and family.name not in told:
            labels = {label: None for sample in family.samples for label in sample.labels}
            yield _row(family, getattr(family, "_labelnames", tuple(labels)))


def _row(family: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
    named = ", ".join(f"`{label}`" for label in labels)
    values = [what for name, _, what in _Taken.NAMES.values() if what and name == family.name]
    if values:
        named += f" ({', '.join(values)})"
    return f"`{family.name}{ENDS.get(family.type, '')}`", family.type, named, family.documentation


if __name__ == "__main__":
    sys.stdout.write(page())
