"""Prometheus Alertmanager, API v2: one alert of ``POST /api/v2/alerts``.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Alertmanager knows an alert by its labels, so
they hold only what no revision changes: ``severity`` is the rule's level, that of the revision is an annotation. An
open alert has no ``endsAt``: Alertmanager resolves it unless it is sent again within ``resolve_timeout``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detector.encodings.jsontext import fit
from detector.encodings.parts import LISTED, PRODUCT, filled, reasons, said, some, steps, techniques
from detector.encodings.plain import cut
from detector.event import rfc3339
from detector.finding import Alert, Level

NAME = "alertmanager"
LIMIT = 16_384
LABEL = 128
"""Longest label, in characters: what grouping and silences compare."""
SEVERITIES = {
    Level.informational: "info",
    Level.low: "info",
    Level.medium: "warning",
    Level.high: "critical",
    Level.critical: "critical",
}
"""The three severities common in alerting rules and routes; ``level`` has ours."""


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as a ``postableAlert``."""
    return fit(lambda room: _postable(alert, room), LIMIT)


def _postable(alert: Alert, room: int) -> dict[str, Any]:
    ends = {"endsAt": rfc3339(alert.last_seen)} if alert.status == "closed" else {}
    return {
        "labels": filled(_labels(alert)),
        "annotations": {**_known(alert), **filled(_told(alert, room))},
        "startsAt": rfc3339(alert.first_seen),
        **ends,
    }


def _labels(alert: Alert) -> dict[str, str]:
    """Give the labels, the same for all revisions whatever room there is. Alertmanager drops empty ones."""
    rule = alert.rule
    return {
        "alertname": cut(rule.title, LABEL) or rule.id,
        "alert_id": alert.id,
        "severity": SEVERITIES[rule.level],
        "level": rule.level.name,
        "rule_id": cut(rule.id, LABEL),
        "cluster": cut(alert.cluster, LABEL),
        "actor": cut(alert.actor, LABEL),
        "actor_kind": cut(alert.actor_kind, LABEL),
        "tactic": cut(rule.tactics[0], LABEL) if rule.tactics else "",
        "product": PRODUCT,
    }


def _known(alert: Alert) -> dict[str, str]:
    return {
        "level": alert.level.name,
        "revision": str(alert.revision),
        "change": alert.change,
        "count": str(alert.count),
        "last_seen": rfc3339(alert.last_seen),
    }


def _told(alert: Alert, room: int) -> dict[str, str]:
    rule = alert.rule
    return {
        "summary": cut(said(alert), room),
        "description": cut(rule.description, room),
        "targets": _lines(alert.targets, room),
        "sources": _lines(alert.sources, room),
        "reasons": _lines(reasons(alert), room),
        "techniques": ", ".join(one.id for one in techniques(rule)[:room]),
        "runbook": _lines(steps(rule), room),
        "audit_ids": _lines(some(alert.audit_ids, LISTED), room),
    }


def _lines(items: Sequence[str], room: int) -> str:
    return "\n".join(cut(one, room) for one in some(items, room))
