"""The replay summary for programs: ``--json``. The attributes of `ReplayJSON` are its keys."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.encodings import native
from detector.event import rfc3339
from detector.report.actors import Actor
from detector.report.outcome import Outcome
from detector.version import __version__

ACTORS = 50


class InputJSON(msgspec.Struct):
    """``input``: what was read."""

    files: list[str]
    bytes: int
    """Bytes read from files or standard input, before decompression."""
    rejected: list[dict[str, Any]]
    """Records that are no audit events: ``reason``, ``count``, ``places`` (``path:line`` of the first)."""
    outside: int
    """Events left out by ``--since`` and ``--until``."""
    problems: list[str]


class RulesJSON(msgspec.Struct):
    """``rules``: what was asked of the events."""

    packs: list[str]
    loaded: int
    failures: dict[str, int]
    """Errors inside rules, by rule id."""
    silenced: dict[str, int]
    """Findings silenced by filters, by the title of the filter."""


class AlertCounts(msgspec.Struct):
    """``alert_counts``: how many alerts there are."""

    total: int
    shown: int
    """At or above ``--level``."""
    listed: int
    """Those under ``alerts``: at most 1000 without ``--all``; ``--out`` writes all."""
    by_level: dict[str, int]
    by_rule: dict[str, int]
    by_tactic: dict[str, int]
    incidents: int
    """Stories that alerts are part of; they are not among ``total``."""


class ReplayJSON(msgspec.Struct):
    """The whole summary. Times are RFC 3339 in UTC; new keys may appear, none will change its meaning."""

    version: str
    """The redshank that wrote this."""
    interrupted: bool
    """True where Ctrl-C ended it early."""
    input: InputJSON
    counters: dict[str, int]
    """Events by what happened to them, and ``findings``."""
    first_event: str | None
    last_event: str | None
    rules: RulesJSON
    alert_counts: AlertCounts
    actors: list[dict[str, Any]]
    """At most 50, by level, then by number of alerts."""
    incidents: list[dict[str, Any]]
    """Alerts of one chain of actors, one story each; at or above ``--level``; by level, then by time."""
    alerts: list[dict[str, Any]]
    """As ``--out`` writes them, without ``samples``; by level, then by time."""


def summary_json(outcome: Outcome) -> dict[str, Any]:
    """Give the summary of a replay as plain JSON types."""
    summary = outcome.summary
    alerts = [native.encode(alert, samples=False) for alert in summary.best()]
    built: dict[str, Any] = msgspec.to_builtins(
        ReplayJSON(
            version=__version__,
            interrupted=outcome.interrupted,
            input=_input(outcome),
            counters={name: n for name, n in msgspec.structs.asdict(outcome.counters).items() if isinstance(n, int)},
            first_event=None if summary.first is None else rfc3339(summary.first),
            last_event=None if summary.last is None else rfc3339(summary.last),
            rules=RulesJSON(list(outcome.packs), outcome.rules, outcome.counters.failures, outcome.counters.silenced),
            alert_counts=_counts(outcome, len(alerts)),
            actors=[_actor(actor) for actor in summary.actors.top(ACTORS)],
            incidents=[native.encode(one, samples=False) for one in summary.stories()],
            alerts=alerts,
        )
    )
    return built


def _input(outcome: Outcome) -> InputJSON:
    rejected = [
        {"reason": reason, "count": entry.count, "places": entry.places}
        for reason, entry in outcome.summary.rejected.items()
    ]
    problems = outcome.problems + [f"{path}: no audit log, passed over" for path in outcome.ignored]
    return InputJSON(outcome.files, outcome.bytes_read, rejected, outcome.summary.outside, problems)


def _counts(outcome: Outcome, listed: int) -> AlertCounts:
    summary = outcome.summary
    return AlertCounts(
        total=summary.total,
        shown=summary.shown,
        listed=listed,
        by_level={level.name: summary.levels[level] for level in sorted(summary.levels, reverse=True)},
        by_rule={id_: entry.alerts for id_, entry in summary.rules.items()},
        by_tactic=dict(summary.tactics()),
        incidents=summary.incidents.total(),
    )


def _actor(actor: Actor) -> dict[str, Any]:
    return {
        "actor": actor.name,
        "kind": actor.kind,
        "level": actor.level.name,
        "alerts": actor.alerts,
        "events": actor.events,
        "first_seen": rfc3339(actor.first),
        "last_seen": rfc3339(actor.last),
        "sources": list(actor.sources),
        "titles": [title for title, _, _ in actor.story(len(actor.acts))],
    }
