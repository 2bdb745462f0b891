"""Falco's JSON, as its ``http_output`` sends it: falcosidekick and its UI take it as it is.

https://falco.org/docs/concepts/outputs/formatting/, and what falcosidekick asks of a body (its types.go, handlers.go):
``priority``, ``rule``, a ``time`` and some ``output_fields``. Fields of events have the names of Falco's k8saudit
plugin, ours begin with ``redshank``. falcosidekick gives each body a ``uuid`` of its own; ``redshank.id`` is the
alert's.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from detector.encodings.jsontext import fit
from detector.encodings.parts import PRODUCT, filled, first, reasons, said, some, steps, techniques
from detector.encodings.plain import cut
from detector.event import rfc3339
from detector.finding import Alert, Level

NAME = "falco"
LIMIT = 4096
"""Bytes: falcosidekick cuts the fields of longer bodies in the middle of a character."""
PRIORITIES = {
    Level.informational: "Informational",
    Level.low: "Notice",
    Level.medium: "Warning",
    Level.high: "Error",
    Level.critical: "Critical",
}
TAG = re.compile(r"[^A-Za-z0-9_.-]")
LONGEST = 500
"""Characters of a field: falcosidekick cuts those beyond 512 bytes."""


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as Falco would have sent it."""
    return fit(lambda room: _event(alert, min(room, LONGEST)), LIMIT)


def _event(alert: Alert, room: int) -> dict[str, Any]:
    # Go's zero time is no time to falcosidekick, which then refuses the body.
    moment = rfc3339(max(alert.last_seen, 0))
    priority, clock = PRIORITIES[alert.level], moment[len("2026-11-22T") : -1]
    return {
        "uuid": str(UUID(alert.id)),
        # Falco's own first words, by which falcosidekick knows its outputs.
        "output": f"{clock}000: {priority} {cut(said(alert), room)}",
        "priority": priority,
        "rule": cut(alert.title, room) or alert.rule.id,
        "source": "k8s_audit",
        "tags": [cut(tag, room) for tag in _tags(alert)[:room]],
        "time": f"{moment[:-1]}000Z",
        "hostname": cut(alert.cluster, room) or PRODUCT,
        "output_fields": {**_known(alert), **filled(_told(alert, room))},
    }


def _tags(alert: Alert) -> list[str]:
    tactics = [f"mitre_{TAG.sub('_', tactic).replace('-', '_')}" for tactic in alert.rule.tactics]
    return ["k8s", *tactics, *(one.id for one in techniques(alert.rule))]


def _known(alert: Alert) -> dict[str, str]:
    """Give what identifies the alert. falcosidekick's outputs expect texts, so numbers are written as such."""
    return {
        "redshank.id": alert.id,
        "redshank.revision": str(alert.revision),
        "redshank.status": alert.status,
        "redshank.change": alert.change,
        "redshank.level": alert.level.name,
        "redshank.count": str(alert.count),
        "redshank.rule.id": alert.rule.id,
        "redshank.first_seen": rfc3339(alert.first_seen),
        "redshank.last_seen": rfc3339(alert.last_seen),
    }


def _told(alert: Alert, room: int) -> dict[str, str]:
    reference = {part: first(alert, "objectRef", part) for part in ("name", "namespace", "resource", "subresource")}
    fields = {
        "redshank.cluster": alert.cluster,
        "redshank.actor.kind": alert.actor_kind,
        "redshank.targets": ", ".join(some(alert.targets, room)),
        "redshank.reasons": "; ".join(reasons(alert)),
        "redshank.runbook": " ".join(steps(alert.rule)),
        "ka.auditid": alert.audit_ids[0] if alert.audit_ids else "",
        "ka.user.name": alert.actor,
        "ka.verb": first(alert, "verb"),
        "ka.uri": first(alert, "requestURI"),
        **{f"ka.target.{part}": value for part, value in reference.items()},
        "ka.response.code": first(alert, "responseStatus", "code"),
        "ka.useragent": first(alert, "userAgent"),
        "ka.sourceips": ", ".join(some(alert.sources, room)),
        "k8s.ns.name": reference["namespace"],
        "k8s.pod.name": reference["name"] if reference["resource"] == "pods" else "",
    }
    return {key: cut(value, room) for key, value in fields.items()}
