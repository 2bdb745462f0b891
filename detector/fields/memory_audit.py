"""What memory knows of the audit log itself: facts of the state before the event."""

from __future__ import annotations

from detector.event import Event
from detector.fields.facts import facts_of
from detector.fields.registry import derived

LEVELS = ("Metadata", "Request", "RequestResponse")


@derived("memory.audit_id.reused", "boolean")
def audit_id_reused(event: Event) -> bool | None:
    """Whether another request had the Audit-ID of this one: other user, verb or address. Clients may choose it.

    Of the last 16,000 requests at least. Null when the event has none. The stages of one request share their Audit-ID.
    """
    facts = facts_of(event)
    return facts.audit.reused(event) if facts else None


@derived("memory.audit.level_before", "text")
def level_before(event: Event) -> str | None:
    """The highest level at which such requests of the user were recorded: Metadata, Request or RequestResponse.

    Such requests: verb, resource and namespace. Null when memory saw none, once the level has fallen before, and for
    requests that were not allowed.
    """
    facts = facts_of(event)
    known = facts.audit.level(event) if facts else None
    return LEVELS[known.level] if known and not known.mixed and 0 <= known.level < len(LEVELS) else None


@derived("memory.audit.level_dropped", "boolean")
def level_dropped(event: Event) -> bool | None:
    """Whether the event is recorded in less detail than such requests were before; null like ….level_before."""
    before: str | None = level_before(event)
    if before is None or event.level not in LEVELS:
        return None
    return LEVELS.index(event.level) < LEVELS.index(before)
