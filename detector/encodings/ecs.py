"""Elastic Common Schema: a document for Elasticsearch and OpenSearch.

The fields are those of https://www.elastic.co/docs/reference/ecs/ecs-field-reference (8.17; 9 has them too); what ECS
has no field for is under ``redshank``. Give the document the alert's id as ``_id``: each revision then takes the place
of the one before.
"""

from __future__ import annotations

from typing import Any

from detector.encodings.jsontext import clean, dumps, fit, shrink
from detector.encodings.parts import (
    PRODUCT,
    addresses,
    filled,
    first,
    known,
    reasons,
    said,
    steps,
    tactics,
    techniques,
)
from detector.event import rfc3339
from detector.finding import Alert, Level
from detector.version import __version__

NAME = "ecs"
LIMIT = 200_000
VERSION = "8.17.0"
ORIGINAL = 16_384
"""Longest JSON of the first sample that is kept as ``event.original``."""
SEVERITY = {Level.informational: 0, Level.low: 21, Level.medium: 47, Level.high: 73, Level.critical: 99}
"""The numbers Elastic's own detection rules use (https://www.elastic.co/docs/solutions/security/detect-and-alert)."""
NANOSECONDS = 1000
LONG = (1 << 63) - 1


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as an ECS document."""
    return fit(lambda room: _document(alert, room), LIMIT)


def _document(alert: Alert, room: int) -> dict[str, Any]:
    told = shrink(filled(_told(alert)), room)
    ours = {"alert": {**known(alert), "title": clean(alert.title, room)}, **told.get(PRODUCT, {})}
    return {
        **told,
        "@timestamp": rfc3339(alert.last_seen),
        "ecs": {"version": VERSION},
        "event": filled(_event(alert, room)),
        "rule": {**told.get("rule", {}), "id": alert.rule.id},
        "observer": {"vendor": PRODUCT, "product": PRODUCT, "type": "ids", "version": __version__},
        PRODUCT: ours,
    }


def _told(alert: Alert) -> dict[str, Any]:
    return {
        "message": said(alert),
        "rule": _rule(alert),
        "threat": _threat(alert),
        "orchestrator": _orchestrator(alert),
        "user": {"name": alert.actor, "id": first(alert, "user", "uid")},
        "user_agent": {"original": first(alert, "userAgent")},
        "url": {"original": first(alert, "requestURI")},
        "source": {"address": alert.sources[0] if alert.sources else "", "ip": (addresses(alert) or [""])[0]},
        "related": {"user": [alert.actor], "ip": addresses(alert)},
        PRODUCT: _ours(alert),
    }


def _event(alert: Alert, room: int) -> dict[str, Any]:
    code = first(alert, "responseStatus", "code")
    return {
        "kind": "alert",
        "category": ["intrusion_detection"],
        "type": ["info"],
        "id": alert.id,
        "sequence": alert.revision,
        "severity": SEVERITY[alert.level],
        "module": PRODUCT,
        "dataset": f"{PRODUCT}.alert",
        "provider": PRODUCT,
        "action": clean(first(alert, "verb"), room),
        "outcome": {"2": "success", "4": "failure", "5": "failure"}.get(code[:1], "unknown"),
        "reason": clean("; ".join(reasons(alert)), room),
        "start": rfc3339(alert.first_seen),
        "end": rfc3339(alert.last_seen),
        "duration": min((alert.last_seen - alert.first_seen) * NANOSECONDS, LONG),
        "original": _original(alert, room),
    }


def _original(alert: Alert, room: int) -> str:
    written = dumps(shrink(alert.samples[0], room)).decode() if alert.samples else ""
    return written if len(written) <= min(ORIGINAL, room * 16) else ""


def _rule(alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    return {
        "name": rule.title,
        "description": rule.description,
        "author": [rule.author] if rule.author else [],
        "ruleset": rule.pack,
        "reference": rule.references[0] if rule.references else "",
    }


def _threat(alert: Alert) -> dict[str, Any]:
    tactic, technique = tactics(alert.rule), techniques(alert.rule)
    parents = dict.fromkeys(one.id.partition(".")[0] for one in technique)
    children = [one for one in technique if "." in one.id]
    return {
        "framework": "MITRE ATT&CK" if tactic or technique else "",
        "tactic": {
            "id": [one.id for one in tactic],
            "name": [one.name for one in tactic],
            "reference": [one.url for one in tactic],
        },
        "technique": {
            "id": list(parents),
            "subtechnique": {"id": [one.id for one in children], "reference": [one.url for one in children]},
        },
    }


def _orchestrator(alert: Alert) -> dict[str, Any]:
    return {
        "type": "kubernetes",
        "cluster": {"name": alert.cluster},
        "namespace": first(alert, "objectRef", "namespace"),
        "api_version": first(alert, "objectRef", "apiVersion"),
        "resource": {"type": first(alert, "objectRef", "resource"), "name": first(alert, "objectRef", "name")},
    }


def _ours(alert: Alert) -> dict[str, Any]:
    return {
        "actor": {"name": alert.actor, "kind": alert.actor_kind},
        "targets": list(alert.targets),
        "audit_ids": list(alert.audit_ids),
        "reasons": [
            {"selection": one.selection, "field": one.field, "value": one.value, "wanted": one.wanted}
            for one in alert.reasons
        ],
        "runbook": steps(alert.rule),
        "false_positives": list(alert.rule.falsepositives),
        "threat_matrix": list(alert.rule.threat_matrix),
        "guide": alert.rule.guide,
    }
