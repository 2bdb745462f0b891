"""What is said of an event on which a rule holds or failed, or after which a correlation stands."""

from __future__ import annotations

from typing import Any

from detector.event import Event
from detector.fields import value_of
from detector.finding import Finding, Reason, RuleInfo, make_id
from detector.redaction import scrub
from detector.sigma.correlate import Correlator, Crossing
from detector.sigma.message import sentence
from detector.sigma.window import AUDIT_ID, MAX_TARGET


def finding(info: RuleInfo, event: Event, now: int, why: tuple[Reason, ...], **more: Any) -> Finding:
    """Make the finding of a rule on an event."""
    fields = {
        "id": make_id(event.fingerprint, info.id),
        "audit_ids": ((event.auditID or "")[:AUDIT_ID],),
        "message": sentence(info.message, event, more.get("count", 1)),
        **more,
    }
    return Finding(
        rule_id=info.id,
        title=info.title,
        level=info.level,
        time=now,
        audit_id=(event.auditID or "")[:AUDIT_ID],
        actor=(value_of("actor", event) or "")[:AUDIT_ID],
        actor_kind=value_of("actor.kind", event) or "",
        reasons=why,
        answers=info.answers,
        target=scrub((value_of("target", event) or "")[:MAX_TARGET]),
        source=value_of("source.ip", event) or "",
        **fields,
    )


def failure(info: RuleInfo, event: Event, now: int) -> Finding:
    """Make the finding that a rule raised an error on an event."""
    why = Reason("(rule failed)", "rule", info.title, "an error while the rule looked at this event")
    return finding(info, event, now, (why,), message=sentence("", event))


def crossed(correlator: Correlator, crossing: Crossing, event: Event, now: int) -> Finding:
    """Make the finding of a correlation that stands after an event."""
    info, rule = correlator.rule.info, correlator.rule
    counted, count = correlator.why(crossing)
    why = [Reason(rule.kind, counted, count, f"at least {rule.threshold}")]
    names = [path.name for path in rule.group_by[0]] if rule.group_by else []
    why += [Reason("group-by", name, value) for name, value in zip(names, crossing.group, strict=True)]
    entries = crossing.entries[-1:] if crossing.again else crossing.entries
    return finding(
        info,
        event,
        max(now, entries[-1].time),
        tuple(why),
        id=make_id(info.id, *crossing.group, crossing.first),
        group=crossing.group,
        since=entries[0].time,
        audit_ids=tuple(dict.fromkeys(entry.audit_id for entry in entries)),
        targets=tuple(dict.fromkeys(entry.target for entry in entries)),
        sources=tuple(dict.fromkeys(entry.source for entry in entries)),
        count=len(entries),
        continues=crossing.again,
    )
