"""Alerts and outcomes to show."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.counters import Counters
from detector.event import SECOND
from detector.finding import Alert, Chapter, Level, Reason, RuleInfo
from detector.report.outcome import Outcome
from detector.report.summary import Rejections, Summary

START = 1_772_719_391 * SECOND
"""2026-03-05 14:03:11 UTC."""
RULES = {
    Level.critical: RuleInfo(
        id="0f0b6c1e-0000-4000-8000-000000000001",
        title="Rights granted to everybody",
        level=Level.critical,
        tactics=("persistence", "privilege-escalation"),
        techniques=("T1098.006",),
        guide="Authentication and authorization",
        falsepositives=("kubeadm init.",),
        runbook=(
            "Delete the binding.",
            "Search for requests by system:anonymous that were allowed since the binding was made.",
        ),
    ),
    Level.low: RuleInfo(
        id="0f0b6c1e-0000-4000-8000-000000000002",
        title="Command run in a pod",
        level=Level.low,
        tactics=("execution",),
        techniques=("T1609",),
        runbook=("Read the command.",),
    ),
}


def alert(number: int = 0, level: Level = Level.low, **attributes: Any) -> Alert:
    """Make a closed alert, ``number`` minutes after `START`."""
    fields: dict[str, Any] = {
        "id": f"{number:032x}",
        "revision": 2,
        "status": "closed",
        "level": level,
        "title": RULES[level].title,
        "rule": RULES[level],
        "cluster": "",
        "actor": "jane@example.com",
        "actor_kind": "human",
        "targets": ("shop/pods/web-0/exec",),
        "sources": ("192.0.2.10",),
        "first_seen": START + number * 60 * SECOND,
        "last_seen": START + number * 60 * SECOND,
        "count": 1,
        "reasons": (Reason("exec", "key", "pods/exec"), Reason("exec", "exec.command", "sh")),
        "audit_ids": (f"audit-{number}",),
        "samples": ({"verb": "create"},),
    }
    return Alert(**{**fields, **attributes})


def outcome(*alerts: Alert, level: Level = Level.informational, **counters: int) -> Outcome:
    """Make the outcome of a replay with these alerts."""
    summary = Summary(level)
    summary.first, summary.last = START - 60 * SECOND, START + 3600 * SECOND
    for one in alerts:
        summary.alert(one)
    counted = msgspec.structs.replace(Counters(events=61_066, findings=147), **counters)
    return Outcome(summary, counted, ("core", "extended"), rules=42, files=["audit.jsonl.gz"], bytes_read=12_400_000)


def full_outcome() -> Outcome:
    """Make an outcome with something of everything."""
    hostile = alert(
        50,
        Level.critical,
        actor="eve\x1b[2J\u202e[bold]x[/]",
        actor_kind="",
        targets=tuple(f"clusterrolebindings/binding-{number}" for number in range(5)),
        sources=("198.51.100.7", "203.0.113.9"),
        last_seen=START + 52 * 60 * SECOND,
        count=1234,
        message="eve\x1b[2J\u202e[bold]x[/] let system:unauthenticated do what the ClusterRole cluster-admin allows",
        reasons=(
            Reason("value_count", "distinct target", "6 within 60 s", "at least 6"),
            Reason("group-by", "actor", "eve\x1b[2J\u202e[bold]x[/]"),
            Reason("grant", "rbac.role.name", "cluster-admin"),
        ),
    )
    again = alert(51, Level.critical, actor="system:serviceaccount:shop:web", actor_kind="serviceaccount")
    parts = [hostile, again, *map(alert, range(9))]
    chapters = [Chapter(one.first_seen, one.id, one.level, "access", one.title, one.actor, "x", "x") for one in parts]
    story = alert(52, Level.critical, kind="incident", title="Incident: recon and access", story=tuple(chapters))
    made = outcome(*map(alert, range(36)), hostile, again, story, duplicates=12, truncated=3)
    made.summary.rejected["not JSON"] = Rejections(7, ["a.jsonl:3", "a.jsonl:9", "b.jsonl:1", "b.jsonl:2", "b.jsonl:5"])
    made.summary.outside = 5
    made.problems.append("b.jsonl: damaged compressed data")
    made.counters.silenced["Nightly backup"] = 2
    return made
