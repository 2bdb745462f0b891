"""One cluster's share of the fold: its time, its duplicates, its memory, the windows of its rules, its open alerts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detector.alerts.group import Alerts
from detector.alerts.suppress import Lift, Suppression, Suppressions
from detector.counters import Counters
from detector.duplicates import Duplicates
from detector.errors import RuleError
from detector.event import SECOND, Event
from detector.fields.request import TRUNCATED
from detector.finding import Alert, Finding, Verdict
from detector.formats import Batch
from detector.memory import Memory
from detector.memory.seed import Entries
from detector.sigma.engine import Compiled, SigmaDetector
from detector.watermark import Watermark

IDLE = 30 * SECOND
"""A cluster that said something so lately tells the time itself."""


@dataclass(slots=True)
class Changes:
    """What one record changed."""

    findings: list[Finding] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    """Revisions to tell."""
    decided: list[Verdict | Suppression | Lift] = field(default_factory=list)
    """What people said."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """What cost an error of ours: fingerprint of the event ("" of none), what was raised. For the dead letters."""
    refused: RuleError | None = None
    """Why the rules of a control are not used."""


class Cluster:
    """The state of one cluster. Rules and suppressions are those of the whole log."""

    def __init__(self, name: str, rules: Compiled, suppressions: Suppressions) -> None:
        self.name = name
        self.suppressions = suppressions
        self.counters = Counters()
        self.watermark = Watermark(self.counters)
        self.memory = Memory()
        self.sigma = SigmaDetector(rules)
        self.alerts = Alerts(name)
        self.duplicates = Duplicates()
        self.heard_at = 0
        """When the last batch was received (microseconds); 0 where nobody knows."""

    def use(self, rules: Compiled) -> None:
        """Detect with other rules from here on; windows of rules that stay are kept."""
        state = self.sigma.dump()
        self.sigma = SigmaDetector(rules)
        self.sigma.load(state)

    def batch(self, batch: Batch, received_at: int | None, changes: Changes) -> None:
        """Take in events, in their order."""
        self.heard_at = received_at or 0
        counters, seen = self.counters, self.duplicates.seen
        counters.rejected += batch.refused
        counters.skipped += batch.skipped
        counters.events += len(batch.events)
        for event in batch.events:
            try:
                if seen(event):
                    counters.duplicates += 1
                else:
                    self._event(event, received_at, changes)
            except Exception as error:  # law 3: whatever an event does to us, its neighbours are looked at
                self._fail(event, error, changes)

    def _event(self, event: Event, received_at: int | None, changes: Changes) -> None:
        if event.annotations is not None and TRUNCATED in event.annotations:
            self.counters.truncated += 1
        before = self.watermark.now
        now = self.watermark.time_of(event, received_at)
        self._moved(before, changes)
        self.memory.look(event, now)
        for finding in self.sigma.check(event, now):
            self._found(finding, event, changes)
        self.memory.learn(event, now)

    def _fail(self, event: Event | None, error: Exception, changes: Changes) -> None:
        self.counters.failed += 1
        fingerprint = ""
        if event is not None:
            with suppress(Exception):  # it may be what failed
                fingerprint = event.fingerprint
        changes.failed.append((fingerprint, type(error).__name__))

    def _moved(self, before: int, changes: Changes) -> None:
        """Close what is over. When time has gone back, whatever is open lies in the future: begin anew."""
        now = self.watermark.now
        if now < before:
            self.counters.set_back += 1
            self.sigma.forget()
            changes.alerts.extend(self.alerts.close_all())
        elif now >= self.alerts.next_close:
            changes.alerts.extend(self.alerts.expire(now))

    def _found(self, finding: Finding, event: Event, changes: Changes) -> None:
        if self.suppressions.all and self.suppressions.silences(finding, self.name):
            self.counters.suppressed += 1
            return
        self.counters.findings += not finding.continues
        changes.findings.append(finding)
        changes.alerts.extend(self.alerts.add(finding, event, self.sigma.infos[finding.rule_id], self.watermark.now))

    def seed(self, entries: Entries) -> None:
        """Take in what a dump of the cluster tells."""
        self.counters.rejected += self.memory.seed(entries)

    def pass_time(self, time: int, changes: Changes) -> None:
        """Nothing happened until ``time``, unless this cluster was heard just before."""
        if 0 <= time - self.heard_at < IDLE:
            return
        before = self.watermark.now
        try:
            self.watermark.reach(time)
            self._moved(before, changes)
        except Exception as error:  # law 3, for the other clusters too
            self._fail(None, error, changes)

    def stats(self) -> Counters:
        """Give the counters, with those that the parts keep themselves."""
        return msgspec.structs.replace(
            self.counters,
            evicted=self.alerts.evicted,
            let_go=self.sigma.evicted,
            failures=self.sigma.failures,
            silenced=self.sigma.silenced,
        )

    def sizes(self) -> dict[str, int]:
        """Give how many entries there are in the maps of the state."""
        return {
            "alerts": len(self.alerts.open),
            "requests": self.sigma.requests,
            "windows": sum(len(one.windows) for one in self.sigma.correlators),
            **self.memory.sizes(),
        }

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {
            "watermark": self.watermark.dump(),
            "counters": msgspec.to_builtins(self.counters),
            "memory": self.memory.dump(),
            "sigma": self.sigma.dump(),
            "alerts": self.alerts.dump(),
            "duplicates": self.duplicates.dump(),
            "heard_at": self.heard_at,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.counters = self.watermark.counters = msgspec.convert(state["counters"], Counters)
        self.watermark.load(state["watermark"])
        self.memory.load(state.get("memory", {}))
        self.sigma.load(state["sigma"])
        self.alerts.load(state["alerts"])
        self.duplicates.load(state["duplicates"])
        self.heard_at = state.get("heard_at", 0)
