"""A finished replay: the summary, the fold's counters, and what there is to say about the input."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from detector.counters import Counters
from detector.report.summary import PLACES, Summary
from detector.report.words import count
from detector.sources.paths import STDIN

COUNTED = {
    "skipped": "records without an audit event (control messages, other categories, empty lists)",
    "duplicates": "events that were there before (resent, or in overlapping exports), counted once",
    "late": "events more than 5 minutes behind the newest; detected on, but windows may have closed",
    "undated": "events without a readable time; the time of their neighbours counts",
    "clamped": "events whose time jumps far ahead of their neighbours; the neighbours' time counts",
    "truncated": "events whose bodies the API server dropped (audit.k8s.io/truncated): rules cannot see into them",
    "suppressed": "findings that somebody has suppressed",
    "failed": "events on which redshank itself failed: please report them",
    "set_back": "times that the clock went back: windows and alerts began anew",
    "evicted": "alerts closed early: too many were open at once",
    "let_go": "correlation groups and requests let go: too many at once, some counts may be too low",
}
"""What each of the fold's counters means, in a person's words."""


@dataclass
class Outcome:
    """Everything the screen and the JSON summary are made of."""

    summary: Summary
    counters: Counters
    packs: tuple[str, ...] = ()
    rules: int = 0
    """Rules and correlations that can alert."""
    problems: list[str] = field(default_factory=list)
    """What was wrong with single files."""
    ignored: list[str] = field(default_factory=list)
    """Files of folders that hold no audit log."""
    paths: list[str] = field(default_factory=list)
    """The input as it was named."""
    rule_flags: list[str] = field(default_factory=list)
    """The flags that say which rules there are."""
    files: list[str] = field(default_factory=list)
    bytes_read: int = 0
    out: str = ""
    interrupted: bool = False

    @property
    def different(self) -> int:
        """Events without the duplicates."""
        return self.counters.events - self.counters.duplicates

    def warnings(self) -> Iterator[str]:
        """List what could not be read, where there is no screen to say it on."""
        for reason, entry in self.summary.rejected.items():
            more = ", …" if entry.count > len(entry.places) else ""
            where = f" ({', '.join(entry.places)}{more})" if entry.places else ""
            yield f"{count(entry.count, 'record')} could not be read: {reason}{where}"
        yield from self.problems

    def unreadable(self) -> str:
        """Say in one line that something could not be read, empty where all could."""
        refused = sum(entry.count for entry in self.summary.rejected.values())
        parts = [f"{count(refused, 'record')} could not be read"] * bool(refused)
        parts += [f"{count(len(self.problems), 'problem')} with input files"] * bool(self.problems)
        return f"! {', '.join(parts)}, see below" if parts else ""

    def doubts(self) -> Iterator[tuple[int, str]]:
        """List what was not read or not read as it stands: how many, and what."""
        for reason, entry in sorted(self.summary.rejected.items(), key=lambda item: (-item[1].count, item[0])):
            more = ", …" if entry.count > len(entry.places) >= PLACES else ""
            where = f" ({', '.join(entry.places)}{more})" if entry.places else ""
            yield entry.count, f"rejected: {reason}{where}"
        for name, meaning in COUNTED.items():
            if value := getattr(self.counters, name):
                yield value, f"{name}: {meaning}"
        if self.summary.outside:
            yield self.summary.outside, "events outside --since and --until"
        for rule, failed in self.counters.failures.items():
            yield failed, f"errors inside rule {rule}: please report them"
        for title, silenced in self.counters.silenced.items():
            yield silenced, f"{'finding' if silenced == 1 else 'findings'} silenced by filter {title}"
        for problem in self.problems:
            yield 1, problem
        for path in self.ignored:
            yield 1, f"{path}: no audit log, passed over"

    def hints(self, full: int | None) -> Iterator[tuple[str, str]]:
        """List what to do next: a command or flag, and what for."""
        summary = self.summary
        if self.out:
            yield self.out, f"has all alerts of level {summary.level.name} and above as JSON lines, with sample events"
        elif summary.shown:
            yield "--out alerts.jsonl", "keeps every alert as a JSON line, with sample events"
        if full is not None and summary.shown > full:
            yield "--all", "shows all alerts in full; --level high shows the most severe only"
        for best in summary.best()[:1]:
            rule = best.rule.id[:8]
            yield self._command("show", rule), "says what the first rule looks for"
            which = ["--audit-id", best.audit_ids[0]] if best.audit_ids else ["--matching"]
            yield self._command("explain", rule, self._log(), *which), "says why it holds of an event"
        if not summary.total and "hunting" not in self.packs:
            yield "--packs core,extended,hunting", "also asks the rules that find much that is harmless"

    def _command(self, *words: str) -> str:
        return shlex.join(["redshank", "rules", *words, *self.rule_flags])

    def _log(self) -> str:
        """Name where the events can be read again."""
        if self.paths and self.paths[0] != STDIN:
            return self.paths[0] if len(self.paths) == 1 else self.out or self.paths[0]
        return self.out or "EVENTS.jsonl"
