"""OCSF: a Detection Finding (class 2004), created, updated and closed.

https://schema.ocsf.io/1.9.0/classes/detection_finding, with nothing that came after 1.6, so that older readers take it
too. ``finding_info.uid`` is the alert's id, ``metadata.sequence`` its revision; what OCSF has no attribute for is in
``unmapped``. A finding that is closed takes in no more events; whether somebody has looked at it is not known here, and
its status stays "New".
"""

from __future__ import annotations

from typing import Any

from detector.encodings.jsontext import fit, shrink
from detector.encodings.parts import (
    PRODUCT,
    Named,
    addresses,
    filled,
    is_address,
    known,
    reasons,
    said,
    sampled,
    steps,
    tactics,
    techniques,
)
from detector.finding import Alert, Level
from detector.version import __version__

NAME = "ocsf"
LIMIT = 200_000
VERSION = "1.9.0"
CLASS = 2004
ACTIVITIES = {"opened": (1, "Create"), "raised": (2, "Update"), "updated": (2, "Update"), "closed": (3, "Close")}
SEVERITIES = {
    Level.informational: (1, "Informational"),
    Level.low: (2, "Low"),
    Level.medium: (3, "Medium"),
    Level.high: (4, "High"),
    Level.critical: (5, "Critical"),
}
USERS = {
    "human": (1, "User"),
    "serviceaccount": (4, "Service"),
    "node": (3, "System"),
    "controlplane": (3, "System"),
}
UNKNOWN = (0, "Unknown")
MILLISECOND = 1000


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as a Detection Finding."""
    return fit(lambda room: _finding(alert, room), LIMIT)


def _finding(alert: Alert, room: int) -> dict[str, Any]:
    activity_id, activity = ACTIVITIES[alert.change]
    severity_id, severity = SEVERITIES[alert.level]
    begin, end = alert.first_seen // MILLISECOND, alert.last_seen // MILLISECOND
    return {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "is_alert": alert.change in {"opened", "raised"},
        "time": begin,
        "start_time": begin,
        "end_time": end,
        "duration": end - begin,
        "count": alert.count,
        "metadata": _metadata(alert),
        "finding_info": _info(alert, room),
        **shrink(filled(_told(alert)), room),
        "unmapped": {**known(alert), **shrink(filled(_unmapped(alert)), room)},
    }


def _metadata(alert: Alert) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": __version__},
        "uid": f"{alert.id}-{alert.revision}",
        "correlation_uid": alert.id,
        "sequence": alert.revision,
    }


def _info(alert: Alert, room: int) -> dict[str, Any]:
    rule, begin, end = alert.rule, alert.first_seen // MILLISECOND, alert.last_seen // MILLISECOND
    analytic = {"name": rule.title, "desc": rule.description, "category": rule.pack, "type": "Rule"}
    told = {
        "title": alert.title,
        "desc": said(alert),
        "attacks": _attacks(tactics(rule), techniques(rule)),
        "related_events": [{"uid": one, "type": "Kubernetes audit event"} for one in alert.audit_ids if one],
    }
    return {
        **shrink(filled(told), room),
        "uid": alert.id,
        "analytic": {**shrink(filled(analytic), room), "uid": rule.id, "type_id": 1},
        "data_sources": ["Kubernetes audit log"],
        "created_time": begin,
        "modified_time": end,
        "first_seen_time": begin,
        "last_seen_time": end,
        "related_events_count": alert.count,
    }


def _attacks(tactic: list[Named], technique: list[Named]) -> list[dict[str, Any]]:
    """Give each technique and each tactic for itself: rules do not say which belongs to which, unless there is one."""
    told = [_attack(one) for one in technique]
    written = [{"uid": one.id, "name": one.name, "src_url": one.url} for one in tactic]
    if len(written) == 1 and told:
        return [{**one, "tactic": written[0]} for one in told]
    return told + [{"tactic": one} for one in written]


def _attack(technique: Named) -> dict[str, Any]:
    parent, _, child = technique.id.partition(".")
    written = {"uid": technique.id, "src_url": technique.url}
    return {"technique": {"uid": parent}, "sub_technique": written} if child else {"technique": written}


def _told(alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    targets = [
        {"name": one, "type": "Kubernetes object", "role_id": 1, "role": "Target"} for one in alert.targets if one
    ]
    cluster = {"name": alert.cluster, "type": "Kubernetes cluster", "role_id": 4, "role": "Related"}
    return {
        "message": said(alert),
        "evidences": _evidences(alert),
        "resources": targets + ([cluster] if alert.cluster else []),
        "observables": _observables(alert),
        "remediation": {"desc": " ".join(steps(rule)), "references": list(rule.references)} if rule.runbook else {},
    }


def _evidences(alert: Alert) -> list[dict[str, Any]]:
    """Give the reasons with who it was, and the sampled requests. An evidence must hold more than its name."""
    found = addresses(alert)
    ours = filled(
        {
            "data": {"reasons": reasons(alert)},
            "actor": {"user": _user(alert)},
            "src_endpoint": {"ip": found[0] if found else ""},
        }
    )
    told = [{"name": "reasons", **ours}] if ours else []
    return told + [request for one in alert.samples if (request := _request(one))]


def _user(alert: Alert) -> dict[str, Any]:
    type_id, type_ = USERS.get(alert.actor_kind, UNKNOWN)
    return {"name": alert.actor, "type_id": type_id, "type": type_} if alert.actor else {}


def _request(sample: dict[str, Any]) -> dict[str, Any]:
    """Give a sampled event as the call it was; nothing where it has no verb."""
    verb, code, peers = sampled(sample, "verb"), sampled(sample, "responseStatus", "code"), sample.get("sourceIPs")
    peer = peers[0] if isinstance(peers, list) and peers and isinstance(peers[0], str) else ""
    path, _, query = sampled(sample, "requestURI").partition("?")
    if not verb:
        return {}
    return {
        "name": "request",
        "uid": sampled(sample, "auditID"),
        "api": {
            "operation": verb,
            "service": {"name": "kube-apiserver"},
            "version": sampled(sample, "objectRef", "apiVersion"),
            "response": {"code": int(code)} if code.isdecimal() and len(code) < len("1000") else {},
        },
        "actor": {"user": {"name": sampled(sample, "user", "username"), "uid": sampled(sample, "user", "uid")}},
        "src_endpoint": {"ip": peer if is_address(peer) else ""},
        "http_request": {
            "user_agent": sampled(sample, "userAgent"),
            "url": {"path": path, "query_string": query},
        },
    }


def _observables(alert: Alert) -> list[dict[str, Any]]:
    """Point at the actor and the address of the first evidence (https://schema.ocsf.io/1.9.0/objects/observable)."""
    actor = {"name": "evidences[0].actor.user.name", "type_id": 4, "type": "User Name", "value": alert.actor}
    peers = [
        {"name": "evidences[0].src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": one}
        for one in addresses(alert)[:1]
    ]
    return ([actor] if alert.actor else []) + peers


def _unmapped(alert: Alert) -> dict[str, Any]:
    return {
        "cluster": alert.cluster,
        "actor_kind": alert.actor_kind,
        "sources": list(alert.sources),
        "false_positives": list(alert.rule.falsepositives),
        "threat_matrix": list(alert.rule.threat_matrix),
        "guide": alert.rule.guide,
    }
