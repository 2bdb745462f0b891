"""``redshank replay``: read archived logs, fold them through the rules, and tell what was found."""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from detector.encodings.jsontext import dumps, printable
from detector.encodings.plain import plain
from detector.entries import JournalSource
from detector.errors import ConfigError, InputError
from detector.finding import Level
from detector.formats import Batch
from detector.memory.seed import Seed, cut
from detector.pipeline import Detector, newest, replay, rule_files, within
from detector.record import Record
from detector.report.dumps import entries_in
from detector.report.interrupt import Interrupt
from detector.report.machine import summary_json
from detector.report.outcome import Outcome
from detector.report.progress import Bar
from detector.report.screen import brief_line, draw
from detector.report.summary import KEPT, Summary
from detector.report.terminal import Page
from detector.report.when import Moment
from detector.report.writer import STDOUT, AlertWriter
from detector.sigma.rule import DEFAULT_PACKS
from detector.sources.files import FileSource
from detector.sources.paths import STDIN

FULL, MOST = 20, 40
"""Alerts shown in full without ``--all``: the first so many, and as many of level high and above as MOST."""
FINDINGS, INTERRUPTED = 1, 130
"""Exit codes."""


@dataclass(frozen=True)
class Options:
    """What the flags of ``redshank replay`` say."""

    paths: list[str]
    rules: list[Path] = field(default_factory=list)
    builtin: bool = True
    packs: tuple[str, ...] = DEFAULT_PACKS
    level: Level = Level.informational
    fail_on: Level | None = None
    since: Moment | None = None
    until: Moment | None = None
    out: str = ""
    json: bool = False
    all: bool = False
    seeds: list[str] = field(default_factory=list)
    """Dumps of the cluster."""
    redact: list[str] = field(default_factory=list)
    """Paths that are blanked in every event."""

    def __post_init__(self) -> None:
        if self.json and self.out == STDOUT:
            raise ConfigError("--json and --out - both want standard output; give --out a file")
        if STDOUT in self.paths and any(one and one.relative for one in (self.since, self.until)):
            raise ConfigError("times before the newest event need to read the input twice: give a time, or a file")
        if not self.builtin and not self.rules:
            raise ConfigError("no rules to run: --no-builtin-rules needs --rules")
        if self.since and self.until and self.since.relative == self.until.relative:
            _check_times(self.since.at(0), self.until.at(0))
        if STDIN in self.paths and STDIN in self.seeds:
            raise ConfigError("events and --seed both want standard input; give one of them a file")
        if self.journal and self._more_than_a_journal():
            raise ConfigError(
                "a data directory is replayed by itself, whole, and with the rules in its journal: leave out other "
                "paths, --since, --until, --rules, --no-builtin-rules, --seed and --redact"
            )

    def _more_than_a_journal(self) -> bool:
        given = (self.since, self.until, self.rules, self.seeds, self.redact)
        return len(self.paths) > 1 or not self.builtin or any(given)

    @property
    def journal(self) -> bool:
        """Whether the journal of a daemon is replayed."""
        return any(path != STDIN and JournalSource.there(path) for path in self.paths)


def _check_times(first: int, end: int) -> None:
    if first > end:
        raise ConfigError("--since is later than --until")


def run(options: Options) -> int:
    """Replay, and print what was found; gives the exit code. Raises RedshankError."""
    source: FileSource | JournalSource
    if options.journal:
        source = JournalSource(Path(options.paths[0]))
        detector = Detector(source.fold)
    else:
        files = rule_files(options.rules, builtin=options.builtin)
        detector = Detector.load(rules=files, packs=options.packs, redact=options.redact)
        source = FileSource(options.paths)
        for entries in cut(entries_in(options.seeds)) if options.seeds else ():
            detector.append(Seed(entries))
    gc.freeze()
    with Interrupt() as interrupt:
        outcome = _fold(options, detector, source, interrupt)
        _tell(options, outcome)
        sys.stdout.flush()
    if outcome.interrupted:
        return INTERRUPTED
    highest = outcome.summary.highest
    failed = options.fail_on is not None and highest is not None and highest >= options.fail_on
    return FINDINGS if failed else 0


def _fold(options: Options, detector: Detector, source: FileSource | JournalSource, interrupt: Interrupt) -> Outcome:
    summary = Summary(options.level, None if options.all else KEPT)
    _check_out(options.out, source.files)
    with ExitStack() as stack:
        writer = stack.enter_context(AlertWriter(options.out)) if options.out else None
        batches = interrupt.last(_chosen(options, source, summary, interrupt))
        bar = stack.enter_context(Bar(source))
        for batch, alerts in replay(detector, batches):
            summary.batch(batch)
            for alert in alerts:
                summary.opened += alert.change == "opened" and alert.kind == "alert"
                if alert.status == "closed":
                    summary.alert(alert)
                    if writer and alert.level >= options.level:
                        writer.write(alert)
            bar.show(summary.events, summary.opened)
        outcome = _outcome(options, detector, source, summary, interrupted=interrupt.asked)
        _check_events(outcome)
        if writer:
            writer.keep = outcome.counters.events > 0
    return outcome


def _check_out(out: str, files: Iterable[str]) -> None:
    """Refuse to write over the input. Raises ConfigError."""
    if out in {"", STDOUT}:
        return
    target = _status(out)
    for file in files:
        status = _status(0 if file == STDIN else file)
        if target and status and stat.S_ISREG(target.st_mode) and os.path.samestat(target, status):
            raise ConfigError(f"--out {out} is an input ({file}) and would be overwritten: give another file")


def _status(file: str | int) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def _chosen(
    options: Options, source: FileSource | JournalSource, summary: Summary, interrupt: Interrupt
) -> Iterable[Batch | Record]:
    """Give the batches of the input, without the events outside the times asked for."""
    since, until = options.since, options.until
    if isinstance(source, JournalSource) or (since is None and until is None):
        return source
    relative = any(one and one.relative for one in (since, until))
    end = newest(interrupt.guard(FileSource(options.paths))) if relative else 0

    def left(events: int) -> None:
        summary.outside += events

    if since and until:
        _check_times(since.at(end), until.at(end))
    return within(source, since.at(end) if since else None, until.at(end) if until else None, left)


def _outcome(
    options: Options, detector: Detector, source: FileSource | JournalSource, summary: Summary, *, interrupted: bool
) -> Outcome:
    stats, rules = detector.fold.stats(), detector.fold.rules
    return Outcome(
        summary=summary,
        counters=stats,
        packs=options.packs,
        rules=sum(rule.alerts for rule in rules.rules) + len(rules.correlations),
        problems=source.problems,
        ignored=source.ignored,
        paths=options.paths,
        rule_flags=_rule_flags(options),
        files=source.files,
        bytes_read=source.bytes_read,
        out=options.out,
        interrupted=interrupted,
    )


def _rule_flags(options: Options) -> list[str]:
    flags = [word for path in options.rules for word in ("--rules", str(path))]
    return flags if options.builtin else [*flags, "--no-builtin-rules"]


def _check_events(outcome: Outcome) -> None:
    """Refuse an input without a single event, and say what was there instead."""
    if outcome.counters.events or outcome.interrupted:
        return
    if outcome.summary.outside:
        raise InputError(f"none of the {outcome.summary.outside} events lies between --since and --until")
    what = "; ".join(f"{n} {what}" for n, what in list(outcome.doubts())[:3])
    raise InputError(f"no audit event in the input{f': {what}' if what else ''}")


def _tell(options: Options, outcome: Outcome) -> None:
    if options.json or options.out == STDOUT:
        sys.stderr.writelines(f"redshank: warning: {plain(warning)}\n" for warning in outcome.warnings())
    if options.json:
        sys.stdout.write(printable(dumps(summary_json(outcome))).decode() + "\n")
        return
    if options.out == STDOUT:
        sys.stderr.write(f"redshank: {brief_line(outcome)}\n")
        return
    draw(Page(), outcome, None if options.all else _full(outcome.summary))


def _full(summary: Summary) -> int:
    """Say how many alerts to show in full: all that are severe, within reason."""
    severe = sum(count for level, count in summary.levels.items() if level >= max(Level.high, summary.level))
    return min(max(severe, FULL), MOST)
