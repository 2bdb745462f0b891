"""What happened, in one sentence: a rule's ``message`` with the values of an event where it has names in braces.

``{actor} ran {exec.command} in {target}`` names derived fields and paths into the event, as rules do. Without a message
the sentence says who did what to what. The values are the client's words, so whoever prints a sentence escapes it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from string import Formatter
from typing import Any

from detector.event import Event
from detector.fields import value_of
from detector.sigma.explain import shown
from detector.sigma.path import parse

Getter = Callable[[Event], list[Any]]
LONGEST = 400
"""Longest sentence, in characters."""
VALUES = 3
"""Values named of a field that has several."""
UNKNOWN = "?"
"""What stands for a value that the event does not have."""
DID = {
    "get": "read",
    "list": "listed",
    "watch": "watched",
    "create": "created",
    "update": "changed",
    "patch": "changed",
    "delete": "deleted",
    "deletecollection": "deleted all of",
}
CONNECTIONS = frozenset({"exec", "attach", "portforward", "proxy"})
"""Subresources whose verb (a get or a create, as the client likes) says nothing of what was done."""
DEFAULTS = {
    "denied": "{actor} was not allowed to {verb} {target}",
    "failed": "{actor} failed to {verb} {target}",
}
ASKED = "{actor} asked to {verb} {target}"
"""Said while there is no answer yet."""


@lru_cache(maxsize=4096)
def pieces(template: str) -> tuple[tuple[str, Getter | None], ...]:
    """Cut a message into texts, each with the field after it. ValueError says what is wrong with it."""
    made: list[tuple[str, Getter | None]] = []
    for literal, name, form, conversion in Formatter().parse(template):
        if form or conversion or (name and "[" in name):
            raise ValueError(f"{{{name}}}: only the name of a field can stand in braces")
        made.append((literal, None if name is None else parse(name)[-1].getter()))
    return tuple(made)


def sentence(template: str, event: Event, count: int = 1) -> str:
    """Say what happened in an event, the last of ``count``. Nothing is raised for what the event holds."""
    if not template:
        template = _default(event) + (f", the last of {count} events" if count > 1 else "")
    said = "".join(literal + (_value(get, event) if get else "") for literal, get in pieces(template))
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _default(event: Event) -> str:
    outcome = value_of("outcome", event)
    if outcome != "allowed":
        return DEFAULTS.get(outcome, ASKED)
    connects = event.objectRef is not None and event.objectRef.subresource in CONNECTIONS
    did = "connected to" if connects else DID.get(event.verb or "")
    return f"{{actor}} {did} {{target}}" if did else "{actor} did {verb} {target}"


def _value(get: Getter, event: Event) -> str:
    try:
        values = list(dict.fromkeys(text for value in get(event) if (text := shown(value))))
    except Exception:  # a client must not escape a finding by a body that cannot be written
        return UNKNOWN
    more = f" and {len(values) - VALUES} more" if len(values) > VALUES else ""
    return ", ".join(values[:VALUES]) + more if values else UNKNOWN
