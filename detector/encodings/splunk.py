"""Splunk: an event for the HTTP Event Collector.

https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector (``time`` in seconds), with
the names of the Alerts data model (https://docs.splunk.com/Documentation/CIM/latest/User/Alerts). Each revision is an
event of its own: search for the highest ``revision`` of an ``id``.
"""

from __future__ import annotations

from typing import Any

from detector.encodings.jsontext import clean, fit, shrink
from detector.encodings.parts import LISTED, PRODUCT, filled, first, known, reasons, said, steps, techniques
from detector.event import SECOND, rfc3339
from detector.finding import Alert

NAME = "splunk"
LIMIT = 10_000
"""Bytes: what Splunk keeps of an event unless told otherwise (TRUNCATE in props.conf)."""
SOURCETYPE = "redshank:alert"
FIELD = 256
"""Longest indexed field, in characters."""


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as a HEC event; the sink may add ``index``."""
    return fit(lambda room: _event(alert, room), LIMIT)


def _event(alert: Alert, room: int) -> dict[str, Any]:
    cluster = clean(alert.cluster, min(room, FIELD))
    fields = {"alert_id": alert.id, "level": alert.level.name, "rule_id": alert.rule.id, "cluster": cluster}
    return {
        "time": max(alert.last_seen, 0) / SECOND,
        "host": cluster or PRODUCT,
        "source": PRODUCT,
        "sourcetype": SOURCETYPE,
        "event": {**_known(alert), **shrink(filled(_told(alert)), room)},
        "fields": filled(fields),
    }


def _known(alert: Alert) -> dict[str, Any]:
    return {
        **known(alert),
        "type": "alert",
        "app": PRODUCT,
        "severity": alert.level.name,
        "signature_id": alert.rule.id,
        "first_seen": rfc3339(alert.first_seen),
        "last_seen": rfc3339(alert.last_seen),
    }


def _told(alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    return {
        "signature": alert.title,
        "description": said(alert),
        "user": alert.actor,
        "user_type": alert.actor_kind,
        "src": alert.sources[0] if alert.sources else "",
        "dest": alert.cluster,
        "cluster": alert.cluster,
        "action": first(alert, "verb"),
        "http_user_agent": first(alert, "userAgent"),
        "uri": first(alert, "requestURI"),
        "mitre_technique_id": [one.id for one in techniques(rule)],
        "mitre_tactic": list(rule.tactics),
        "targets": list(alert.targets),
        "sources": list(alert.sources),
        "reasons": reasons(alert),
        "runbook": steps(rule),
        "false_positives": list(rule.falsepositives),
        "audit_ids": list(alert.audit_ids[:LISTED]),
    }
