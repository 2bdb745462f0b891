"""What memory knows of what the actor was given lately and uses for the first time."""

from __future__ import annotations

from detector.event import Event
from detector.fields.facts import Grant, facts_of
from detector.fields.memory_objects import age
from detector.fields.registry import derived

REASON = "authorization.k8s.io/reason"
"""The annotation in which the authorizer says why a request is allowed."""


def _grant(event: Event) -> Grant | None:
    facts, reason = facts_of(event), (event.annotations or {}).get(REASON)
    return facts.grants.get(reason) if facts and reason else None


@derived("memory.grant.age", "number", within="memory.grant.age")
def grant_age(event: Event) -> float | None:
    """How many seconds ago the binding gave the actor, or its group, what allows this request: at its first use alone.

    The authorizer names the binding in the annotation authorization.k8s.io/reason. Null at later uses, when memory did
    not see the binding give it, and when another binding allows the request.
    """
    facts, found = facts_of(event), _grant(event)
    return age(facts, found.at) if facts and found else None


@derived("memory.grant.by", "text", within="memory.grant.age")
def grant_by(event: Event) -> str | None:
    """Who wrote that binding; null like memory.grant.age."""
    found = _grant(event)
    return found.by if found else None
