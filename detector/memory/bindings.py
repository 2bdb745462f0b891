"""Bindings: who has which roles, and so which powers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from detector.event import Event, ObjectRef
from detector.fields.body import dig, elements, mapping, text
from detector.fields.facts import Binding
from detector.fields.rbac import username_of
from detector.fields.request import MOST_PATHS, patch_paths, stated
from detector.memory.bodies import after, created_at, is_gone, name_of
from detector.memory.grants import Grants, reason_of
from detector.memory.powers import EVERYTHING, words
from detector.memory.roles import Roles
from detector.memory.subject import RBAC, WRITES, Places, Subject, begun, key_of, known_as
from detector.memory.table import Table

SIZE = 10_000
SUBJECTS = 1_000
"""Subjects kept of one binding: groups that everybody is in first, then users and service accounts, then groups."""
_EVERYBODY = frozenset(f"group:system:{name}" for name in ("authenticated", "unauthenticated", "serviceaccounts"))
MASTERS = "system:masters"
"""The group that may do everything, without any binding."""
_CACHED = 10_000

Key = tuple[str, ...]


class Bindings(Subject):
    """Knows bindings by namespace and name; a ClusterRoleBinding has no namespace."""

    teaches: ClassVar[Places] = {(RBAC, "rolebindings"): WRITES, (RBAC, "clusterrolebindings"): WRITES}

    def __init__(self, roles: Roles, grants: Grants) -> None:
        self.table = Table(SIZE, Binding, self._forget, lambda binding: len(binding.subjects))
        super().__init__(bindings=self.table)
        self._roles, self._grants = roles, grants
        self._of: dict[str, dict[Key, None]] = {}
        """The bindings of each subject; follows from the table."""
        self._cache: dict[tuple[str, str], tuple[int, int]] = {}
        self._cached_at = 0

    def get(self, namespace: str | None, name: str | None) -> Binding | None:
        """Give a RoleBinding, or without a namespace a ClusterRoleBinding."""
        return self.table.get(key_of(namespace, name))

    def power(self, user: str | None, groups: Iterable[str], namespace: str | None) -> list[str] | None:
        """Give the powers somebody is known to have; None when none are."""
        everywhere, here = 0, 0
        for subject in (*((f"user:{user}",) if user else ()), *(f"group:{group}" for group in groups)):
            one, other = self._powers(known_as(subject), known_as(namespace))
            everywhere, here = everywhere | one, here | other
        told = [*words(everywhere), *(f"namespace:{word}" for word in words(here & ~everywhere))]
        return told or None

    def _powers(self, subject: str, namespace: str) -> tuple[int, int]:
        if subject == f"group:{MASTERS}":
            return EVERYTHING, 0
        if subject not in self._of:
            return 0, 0
        if self._cached_at != self._roles.changes or len(self._cache) > _CACHED:
            self._cache.clear()
            self._cached_at = self._roles.changes
        found = self._cache.get((subject, namespace))
        if found is None:
            found = self._cache[subject, namespace] = self._added_up(subject, "", namespace)
        return found

    def _added_up(self, subject: str, *namespaces: str) -> tuple[int, int]:
        powers = dict.fromkeys(namespaces, 0)
        for key in self._of[subject]:
            binding = self.table.get(key)
            if binding is not None and binding.role is not None and key[0] in powers:
                powers[key[0]] |= self._roles.powers(binding.role[0], key[0], binding.role[1]) or 0
        everywhere, here = (powers[namespace] for namespace in namespaces)
        return everywhere, here

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a binding."""
        name = name_of(event, ref)
        if name is None:
            return
        key = key_of(ref.namespace, name)
        gone = is_gone(event)
        if gone:
            self._take(key)
        if gone or event.verb == "delete":  # what is being deleted is honoured until it is gone
            return
        known, body = self.table.get(key), after(event)
        before = known if event.verb != "create" else None
        role = (_role_of(body) if body else None) or (before.role if before else None)
        named = _named(event, body)
        subjects = _kept(named)
        if body is None and before is not None:
            subjects = _left(event, before, subjects)
        self._set(key, Binding(**begun(event, body, known, now), role=role, subjects=subjects), now)
        for one in _new(event, before, named):
            self._grants.given(reason_of(ref.namespace, name, role or ("", ""), one), event, now)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a binding of a dump."""
        kind, metadata = body.get("kind"), body.get("metadata")
        name = text(dig(metadata, "name"))
        if kind in ("RoleBinding", "ClusterRoleBinding") and name:
            key = key_of(text(dig(metadata, "namespace")), name)
            subjects = _kept(elements(body.get("subjects")))
            binding = Binding(at=now, created_at=created_at(body, now), role=_role_of(body), subjects=subjects)
            self.table.seed(key, binding)

    def follow(self) -> None:
        """Find the bindings of each subject anew."""
        self._of.clear()
        for key, binding in self.table.items():
            self._link(key, binding)

    def _set(self, key: Key, binding: Binding, now: int) -> None:
        self._unlink(key)
        self.table.learn(key, binding, now)
        self._link(key, binding)

    def _take(self, key: Key) -> None:
        self._unlink(key)
        self.table.pop(key)

    def _link(self, key: Key, binding: Binding) -> None:
        self._cache.clear()
        for subject in binding.subjects:
            self._of.setdefault(subject, {})[key] = None

    def _unlink(self, key: Key) -> None:
        known = self.table.get(key)
        if known is not None:
            self._forget(key, known)

    def _forget(self, key: Key, binding: Binding) -> None:
        self._cache.clear()
        for subject in binding.subjects:
            bindings = self._of.get(subject, {})
            bindings.pop(key, None)
            if not bindings:
                self._of.pop(subject, None)


def _role_of(body: dict[str, Any]) -> tuple[str, str] | None:
    role = mapping(body.get("roleRef"))
    kind, name = text(role.get("kind")), text(role.get("name"))
    return (known_as(kind), known_as(name)) if kind and name else None


def _named(event: Event, body: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Give the subjects that the binding has now, or that the request names where the record has no whole binding."""
    whole = body if body is not None else stated(event)
    return sorted(elements(whole.get("subjects")), key=_rank)[:SUBJECTS] if whole else []


def _new(event: Event, before: Binding | None, named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the subjects that a write gave what they did not have, as far as that can be said."""
    if before is not None:
        return [one for one in named if subject_of(one) not in before.subjects]
    if event.verb == "create":
        return named
    return _named(event, None) if isinstance(event.request, list) else []


def _kept(named: list[dict[str, Any]]) -> tuple[str, ...]:
    found = map(subject_of, sorted(named, key=_rank))
    return tuple(dict.fromkeys(one for one in found if one))[:SUBJECTS]


def _rank(subject: dict[str, Any]) -> int:
    known = subject_of(subject)
    return 3 if known is None else _order(known)


def _order(subject: str) -> int:
    """Give where a subject comes when not all are kept; whoever writes a binding chooses the order of it."""
    return 0 if subject in _EVERYBODY else 1 + subject.startswith("group:")


def subject_of(subject: dict[str, Any]) -> str | None:
    """Give how a subject is kept; None for one that names nobody."""
    user, name = username_of(subject), text(subject.get("name"))
    if user:
        return known_as(f"user:{user}")
    return known_as(f"group:{name}") if subject.get("kind") == "Group" and name else None


def _left(event: Event, before: Binding, named: tuple[str, ...]) -> tuple[str, ...]:
    """Give the subjects after a write whose record has no whole binding."""
    paths: list[str] | None = patch_paths(event)
    if paths is None:
        return ()
    if len(paths) < MOST_PATHS and not any(path.startswith("subjects") for path in paths):
        return before.subjects
    if isinstance(event.request, list):
        return tuple(sorted(dict.fromkeys((*before.subjects, *named)), key=_order))[:SUBJECTS]
    return named
