"""A finished replay: the summary, the fold's counters, and what there is to say about the input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from detector.fold import Counters
from detector.report.summary import PLACES, Summary

COUNTED = {
    "skipped": "records without an audit event (control messages, other categories, empty lists)",
    "duplicates": "events that were there before (resent, or in overlapping exports), counted once",
    "late": "events more than 5 minutes behind the newest; detected on, but windows may have closed",
    "undated": "events without a readable time; the time of their neighbours counts",
    "clamped": "events whose time jumps far ahead of their neighbours; the neighbours' time counts",
    "truncated": "events whose bodies the API server dropped (audit.k8s.io/truncated): rules cannot see into them",
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
    failures: dict[str, int] = field(default_factory=dict)
    """Rules that raised, and how often."""
    evicted: int = 0
    """Alerts closed early because too many were open."""
    let_go: int = 0
    """Groups of correlations and requests forgotten because there were too many."""
    problems: list[str] = field(default_factory=list)
    """What the source says about its files."""
    files: list[str] = field(default_factory=list)
    bytes_read: int = 0
    out: str = ""
    interrupted: bool = False

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
        if self.evicted:
            yield self.evicted, "alerts closed early: too many were open at once"
        if self.let_go:
            yield self.let_go, "correlation groups and requests let go: too many at once, some counts may be too low"
        for rule, failed in self.failures.items():
            yield failed, f"errors inside rule {rule}: please report them"
        for problem in self.problems:
            yield 1, problem

    def hints(self, full: int | None) -> Iterator[tuple[str, str]]:
        """List what to do next: a command or flag, and what for."""
        summary = self.summary
        if self.out:
            yield self.out, f"has all alerts of level {summary.level.name} and above as JSON lines, with sample events"
        elif summary.shown:
            yield "--out alerts.jsonl", "keeps every alert as a JSON line, with sample events"
        if full is not None and summary.shown > full:
            yield "--all", "shows all alerts in full; --level high shows the most severe only"
        if best := summary.best()[:1]:
            rule = best[0].rule.id[:8]
            yield f"redshank rules show {rule}", "says what the first rule looks for"
            yield f"redshank rules explain {rule} EVENT.json", "says why it holds of an event, or why not"
        if not summary.total and "hunting" not in self.packs:
            yield "--packs core,extended,hunting", "also asks the rules that find much that is harmless"
