"""Why a rule holds or not: the reasons in a finding, and the tree that `rules explain` shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from detector.event import rfc3339
from detector.finding import Reason
from detector.redaction import scrub
from detector.sigma.path import Path
from detector.sigma.predicate import And, Atom, Each, Named, Not, Or, Predicate, Since, holds, passing

LONGEST = 200
"""Longest value shown; longer ones are cut with an ellipsis."""
MOST = 12
"""Most reasons in one finding."""


class Step(msgspec.Struct, frozen=True):
    """One node of the explanation: what was asked, whether it passed, and the values it saw."""

    label: str
    passed: bool
    seen: str = ""
    steps: tuple[Step, ...] = ()


def reasons(predicate: Predicate, subject: Any, now: int) -> tuple[Reason, ...]:
    """List the selections and values on which a predicate that holds stands."""
    found: dict[Reason, None] = {}
    _collect(predicate, subject, now, "", "", found)
    return tuple(found)[:MOST]


def shown_fields(paths: Iterable[Path], subject: Any) -> tuple[Reason, ...]:
    """Give the values of the fields that a rule shows beside its reasons."""
    values = ((path, [shown(value) for value in path.getter()(subject)[:5]]) for path in paths)
    return tuple(Reason("shown", path.name, ", ".join(found)) for path, found in values if found)


def _collect(node: Predicate, subject: Any, now: int, name: str, prefix: str, found: dict[Reason, None]) -> None:
    match node:
        case Atom():
            for value in passing(node, subject)[:3]:
                found[Reason(name, prefix + node.path.name, shown(value), node.wanted)] = None
        case Named():
            _collect(node.part, subject, now, node.name, prefix, found)
        case And() | Or():
            for part in node.parts:
                if isinstance(node, And) or holds(part, subject, now):
                    _collect(part, subject, now, name, prefix, found)
        case Each():
            for element in node.path.getter()(subject):
                if holds(node.body, element, now):
                    _collect(node.body, element, now, name, f"{prefix}{node.path.name}[].", found)
                    return


def explain(predicate: Predicate, subject: Any, now: int = 0) -> Step:
    """Give the whole tree of a predicate with what each question saw in an event."""
    passed = holds(predicate, subject, now)
    match predicate:
        case Atom():
            seen = predicate.path.getter()(subject) if predicate.kind != "keyword" else passing(predicate, subject)
            values = ", ".join(map(shown, seen[:5])) or "nothing"
            return Step(f"{predicate.path.name}: {predicate.kind} {predicate.wanted}", passed, values)
        case Named():
            return Step(predicate.name, passed, steps=(explain(predicate.part, subject, now),))
        case And() | Or():
            label = "all of" if isinstance(predicate, And) else "any of"
            return Step(label, passed, steps=tuple(explain(part, subject, now) for part in predicate.parts))
        case Not():
            return Step("not", passed, steps=(explain(predicate.part, subject, now),))
        case Each():
            elements = predicate.path.getter()(subject)
            steps = tuple(explain(predicate.body, element, now) for element in elements[:10])
            return Step(f"some element of {predicate.path.name}[]", passed, f"{len(elements)} elements", steps)
        case Since():
            return Step(f"exception has run out on {rfc3339(predicate.time)[:10]}", passed)
    return Step(str(predicate), passed)


def shown(value: Any) -> str:
    """Write a value for a person, cut to `LONGEST`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    as_text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    as_text = scrub(as_text)
    return as_text if len(as_text) <= LONGEST else as_text[: LONGEST - 1] + "…"
