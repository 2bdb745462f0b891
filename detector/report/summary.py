"""What a replay found, in bounded memory: counts, the busiest actors, a timeline, and the most severe alerts."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from detector.event import Event
from detector.finding import Alert, Level, RuleInfo
from detector.formats import Batch
from detector.report.actors import Actors
from detector.report.timeline import Timeline

KEPT = 1000
"""Alerts kept for showing, the most severe ones; of the others there remain counts."""
REASONS = 50
"""Different reasons for rejecting records that are counted apart."""
PLACES = 5
"""Places told for each reason."""
OTHER = "other reasons"

Ranked = tuple[Level, int, str, Alert]
"""An alert behind what it is ranked by."""


@dataclass
class Rejections:
    """Records refused for one reason, and where the first of them are (``path:line``)."""

    count: int = 0
    places: list[str] = field(default_factory=list)


@dataclass
class RuleCount:
    """How often one rule alerted."""

    rule: RuleInfo
    level: Level
    alerts: int = 0


class Summary:
    """Everything the screen and the JSON summary say, but for the fold's own counters."""

    def __init__(self, level: Level = Level.informational, kept: int | None = KEPT) -> None:
        self.level, self.kept = level, kept
        """Alerts below ``level`` are counted and not shown; ``kept`` is None where all are to be kept."""
        self.levels: Counter[Level] = Counter()
        self.events = 0
        self.opened = 0
        self.outside = 0
        """Events left out by ``--since`` and ``--until``."""
        self.rules: dict[str, RuleCount] = {}
        self.rejected: dict[str, Rejections] = {}
        self.actors = Actors()
        self.timeline = Timeline()
        self.first: int | None = None
        self.last: int | None = None
        self.incidents: Counter[Level] = Counter()
        self._best: list[Ranked] = []
        self._stories: list[Ranked] = []

    def batch(self, batch: Batch) -> None:
        """Note what a batch holds beside its events, and from when it is.

        Batches are about a megabyte, in the order of the log: the first one whole and both ends of the others tell
        the time span without reading the time of every event.
        """
        for one in batch.rejected:
            self._reject(one.reason, one.count, place(batch.path, one.line))
        self.events += len(batch.events)
        if batch.events:
            self._span(batch.events if self.first is None else [batch.events[0], batch.events[-1]])

    def _span(self, events: list[Event]) -> None:
        times = [time for event in events if (time := event.time) is not None]
        if times:
            self.first = min(times) if self.first is None else min(self.first, *times)
            self.last = max(times) if self.last is None else max(self.last, *times)

    def _reject(self, reason: str, count: int, where: str) -> None:
        known = reason in self.rejected or len(self.rejected) < REASONS
        entry = self.rejected.setdefault(reason if known else OTHER, Rejections())
        entry.count += count
        if where and len(entry.places) < PLACES:
            entry.places.append(where)

    def alert(self, alert: Alert) -> None:
        """Take in the last revision of an alert or an incident."""
        if alert.kind == "incident":
            if alert.incident:
                return  # it went on as that one
            self.incidents[alert.level] += 1
            if alert.level >= self.level:
                self._keep(alert, self._stories)
            return
        self.levels[alert.level] += 1
        if alert.level < self.level:
            return
        entry = self.rules.setdefault(alert.rule.id, RuleCount(alert.rule, alert.level))
        entry.alerts += 1
        entry.level = max(entry.level, alert.level)
        self.actors.add(alert)
        self.timeline.add(alert.first_seen, alert.level)
        self._keep(alert, self._best)

    def _keep(self, alert: Alert, among: list[Ranked]) -> None:
        slim = msgspec.structs.replace(alert, samples=())
        ranked = (alert.level, -alert.first_seen, alert.id, slim)
        if self.kept is None or len(among) < self.kept:
            heapq.heappush(among, ranked)
        else:
            heapq.heappushpop(among, ranked)

    @property
    def total(self) -> int:
        """All alerts, those below the level asked for included."""
        return self.levels.total()

    @property
    def shown(self) -> int:
        """Alerts at or above the level asked for."""
        return sum(count for level, count in self.levels.items() if level >= self.level)

    @property
    def highest(self) -> Level | None:
        """The highest level of any alert or incident."""
        return max((*self.levels, *self.incidents), default=None)

    def best(self) -> list[Alert]:
        """Give the alerts kept: by level, the highest first, then by time."""
        return _in_order(self._best)

    def stories(self) -> list[Alert]:
        """Give the incidents kept, in the same order."""
        return _in_order(self._stories)

    def tactics(self) -> list[tuple[str, int]]:
        """Count the alerts of each ATT&CK tactic, the most frequent first."""
        counts: Counter[str] = Counter()
        for entry in self.rules.values():
            counts.update(dict.fromkeys(entry.rule.tactics, entry.alerts))
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _in_order(kept: list[Ranked]) -> list[Alert]:
    return [ranked[-1] for ranked in sorted(kept, key=lambda ranked: (-ranked[0], -ranked[1], ranked[2]))]


def place(path: str, line: int | None) -> str:
    """Write ``path:line``, as far as both are known."""
    return f"{path}:{line}" if path and line else path or (f"line {line}" if line else "")
