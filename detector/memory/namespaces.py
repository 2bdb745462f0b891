"""Namespaces: what Pod Security admission enforces in them."""

from __future__ import annotations

from typing import Any, ClassVar

from detector.bounded import fit
from detector.event import Event, ObjectRef
from detector.fields.body import dig, elements, mapping, text
from detector.fields.facts import Namespace
from detector.fields.request import object_labels
from detector.memory.bodies import after, created_at, name_of
from detector.memory.subject import WRITES, Places, Subject, begun, key_of
from detector.memory.table import Table

SIZE = 10_000
MODES = ("enforce", "audit", "warn")
LABEL = "pod-security.kubernetes.io/"
WHOLE = ("", "/metadata", "/metadata/labels")
"""Where a JSON patch replaces all labels, and does not tell which there were."""
_WIDEST = 63


class Namespaces(Subject):
    """Knows namespaces by name."""

    teaches: ClassVar[Places] = {("", "namespaces"): WRITES}

    def __init__(self) -> None:
        self.table = Table(SIZE, Namespace)
        super().__init__(namespaces=self.table)

    def get(self, name: str | None) -> Namespace | None:
        """Give a namespace."""
        return self.table.get(key_of(name))

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a namespace."""
        key = key_of(name_of(event, ref))
        if event.verb == "delete":
            self.table.pop(key)
            return
        known, body = self.table.get(key), after(event)
        levels = _levels(body) if body is not None else _patched(event, known)
        self.table.learn(key, Namespace(**begun(event, body, known, now), **levels), now)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a namespace of a dump."""
        name = text(dig(body, "metadata", "name"))
        if body.get("kind") == "Namespace" and name:
            self.table.seed(key_of(name), Namespace(at=now, created_at=created_at(body, now), **_levels(body)))


def _levels(body: dict[str, Any]) -> dict[str, Any]:
    labels = mapping(dig(body, "metadata", "labels"))
    return {mode: fit(text(labels.get(LABEL + mode)) or "", _WIDEST) for mode in MODES}


def _patched(event: Event, known: Namespace | None) -> dict[str, Any]:
    """Give the levels after a write whose record has no whole namespace."""
    steps = elements(event.request)
    if event.verb != "patch" or event.request is None or any(step.get("path") in WHOLE for step in steps):
        return dict.fromkeys(MODES)
    stated: dict[str, Any] = object_labels(event) or {}
    before = {mode: getattr(known, mode) if known else None for mode in MODES}
    return {
        mode: fit(text(stated[LABEL + mode]) or "", _WIDEST) if LABEL + mode in stated else level
        for mode, level in before.items()
    }
