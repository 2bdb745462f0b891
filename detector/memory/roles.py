"""Roles: the powers in each, and which take in the rules of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from detector.event import Event, ObjectRef
from detector.fields.body import dig, elements, mapping, text
from detector.fields.facts import Role
from detector.fields.rbac import rbac_rules
from detector.fields.request import MOST_PATHS, patch_paths
from detector.memory.bodies import KINDS, after, created_at, is_gone, name_of
from detector.memory.powers import BUILT_IN, DANGEROUS, powers_of, words
from detector.memory.subject import RBAC, WRITES, Places, Subject, begun, key_of
from detector.memory.table import Table

SIZE = 10_000
SELECTORS = 4
"""Selectors kept of an aggregated role, and labels of each."""
_WIDEST = 317, 63
"""The longest label and the longest value that Kubernetes takes."""
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_BUILT_IN = {"view": ["view", "edit", "admin"], "edit": ["edit", "admin"], "admin": ["admin"]}
"""Which built-in roles take in what is aggregated to one: view is itself aggregated to edit, and edit to admin."""


class Roles(Subject):
    """Knows roles by kind, namespace and name."""

    teaches: ClassVar[Places] = {(RBAC, "roles"): WRITES, (RBAC, "clusterroles"): WRITES}

    def __init__(self) -> None:
        self.table = Table(SIZE, Role)
        super().__init__(roles=self.table)
        self.changes = 0
        """Grows with every change of what is known."""

    def get(self, kind: str | None, namespace: str | None, name: str | None) -> Role | None:
        """Give a Role or ClusterRole."""
        return self.table.get(_key(kind, namespace, name))

    def powers(self, kind: str | None, namespace: str | None, name: str | None) -> int | None:
        """Give the powers in a role as a set; None when they are not known."""
        role = self.get(kind, namespace, name)
        if role is not None:
            return role.powers
        return BUILT_IN.get(name or "") if kind == "ClusterRole" else None

    def power(self, kind: str | None, namespace: str | None, name: str | None) -> list[str] | None:
        """Give the powers in a role as words; None when they are not known."""
        powers = self.powers(kind, namespace, name)
        return None if powers is None else words(powers)

    def risky(self, kind: str | None, namespace: str | None, name: str | None) -> bool | None:
        """Tell whether a role leads to the powers of others."""
        powers = self.powers(kind, namespace, name)
        return None if powers is None else bool(powers & DANGEROUS)

    def aggregating(self, labels: Mapping[str, Any]) -> list[str]:
        """Give the names of the ClusterRoles that take in the rules of one with such labels."""
        built_in = (names for word, names in _BUILT_IN.items() if labels.get(_AGGREGATE + word) == "true")
        found = {name: None for names in built_in for name in names}
        for (_, _, name), role in self.table.items():
            if any(all(labels.get(label) == value for label, value in one) for one in role.selectors):
                found[name] = None
        return list(found)

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a role."""
        name = name_of(event, ref)
        if name is None:
            return
        self.changes += 1
        kind = KINDS[ref.resource or ""]
        key = _key(kind, ref.namespace, name)
        gone = is_gone(event)
        if gone:
            self.table.pop(key)
        if gone or event.verb == "delete":  # what is being deleted is honoured until it is gone
            return
        body, known = after(event), self.table.get(key)
        role = Role(
            **begun(event, body, known, now),
            powers=_powers(event, body, self.powers(kind, ref.namespace, name) if event.verb != "create" else None),
            selectors=_selectors(body) if body else (known.selectors if known else ()),
        )
        self.table.learn(key, role, now)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a role of a dump."""
        kind, name = str(body.get("kind")), text(dig(body, "metadata", "name"))
        if kind in ("Role", "ClusterRole") and name:
            powers = powers_of(body.get("rules"))
            role = Role(at=now, created_at=created_at(body, now), powers=powers, selectors=_selectors(body))
            self.table.seed(_key(kind, text(dig(body, "metadata", "namespace")), name), role)

    def follow(self) -> None:
        """Let others know that any role may be another."""
        self.changes += 1


def _key(kind: str | None, namespace: str | None, name: str | None) -> tuple[str, ...]:
    return key_of(kind, namespace if kind == "Role" else None, name)


def _powers(event: Event, body: dict[str, Any] | None, known: int | None) -> int | None:
    """Give the powers in a role after a write to it; None when the record does not tell."""
    if body is not None:
        return powers_of(body.get("rules"))
    paths: list[str] | None = patch_paths(event)
    if paths is None:
        return None
    if len(paths) < MOST_PATHS and not any(path.startswith("rules") for path in paths):
        return known
    stated = powers_of(rbac_rules(event))
    if isinstance(event.request, dict):
        return stated
    # A JSON patch adds to rules that may not be known: what it adds is certain, what it leaves is not.
    return stated | (known or 0) or None


def _selectors(body: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], ...]:
    found = elements(dig(body, "aggregationRule", "clusterRoleSelectors"))
    selectors = (mapping(one.get("matchLabels")) for one in found if not one.get("matchExpressions"))
    return tuple(tuple(one.items()) for one in selectors if _is_short(one))[:SELECTORS]


def _is_short(labels: dict[str, Any]) -> bool:
    pairs = all(
        isinstance(value, str) and len(label) <= _WIDEST[0] and len(value) <= _WIDEST[1]
        for label, value in labels.items()
    )
    return pairs and 0 < len(labels) <= SELECTORS
