"""What memory knows of the audit log itself: facts of the state before the event."""

from __future__ import annotations

from detector.event import Event
from detector.fields.facts import facts_of
from detector.fields.registry import derived

LEVELS = ("Metadata", "Request", "RequestResponse")


@derived("memory.audit_id.reused", "boolean")
def audit_id_reused(event: Event) -> bool | None:
    """True when another request had the Audit-ID of this one: other user, verb or address. Clients may choose it.

    Null otherwise: looked for among the last 16,000 requests at least. The stages of one request share their Audit-ID.
    """
    facts = facts_of(event)
    return facts.audit.reused(event) if facts else None


@derived("memory.audit.level_before", "text")
def level_before(event: Event) -> str | None:
    """The highest level at which such requests of the user were recorded: Metadata, Request or RequestResponse.

    Such requests: verb, resource and namespace. Null when memory saw none, and for requests that were not allowed.
    """
    facts = facts_of(event)
    known = facts.audit.level(event) if facts else None
    return max(known.levels, key=LEVELS.index) if known and known.levels else None


@derived("memory.audit.level_dropped", "boolean", within="memory.unseen")
def level_dropped(event: Event) -> bool | None:
    """True when the event is recorded in less detail than such requests were before, for the first time.

    Null otherwise.
    """
    facts = facts_of(event)
    known = facts.audit.level(event) if facts and not facts.familiar else None
    if known is None or event.level not in LEVELS or event.level in known.levels:
        return None
    return LEVELS.index(event.level) < max(map(LEVELS.index, known.levels)) or None
