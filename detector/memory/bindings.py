"""Bindings: who has which roles, and so which powers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from detector.event import Event, ObjectRef
from detector.fields.body import dig, elements, mapping, text
from detector.fields.facts import Binding
from detector.fields.rbac import username_of
from detector.fields.request import MOST_PATHS, object_name, patch_paths, stated
from detector.memory.powers import EVERYTHING, words
from detector.memory.roles import Roles
from detector.memory.subject import RBAC, WRITES, Places, Subject, after, author, key_of, known_as
from detector.memory.table import Table
from detector.memory.workloads import created_at

SIZE = 10_000
SUBJECTS = 100
"""Subjects kept of one binding."""
MASTERS = "system:masters"
"""The group that may do everything, without any binding."""
_CACHED = 10_000

Key = tuple[str, ...]


class Bindings(Subject):
    """Knows bindings by namespace and name; a ClusterRoleBinding has no namespace."""

    teaches: ClassVar[Places] = {(RBAC, "rolebindings"): WRITES, (RBAC, "clusterrolebindings"): WRITES}

    def __init__(self, roles: Roles) -> None:
        self.table = Table(SIZE, Binding, self._forget, lambda binding: len(binding.subjects))
        super().__init__(bindings=self.table)
        self._roles = roles
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
        name: str | None = object_name(event)
        if name is None:
            return
        key = key_of(ref.namespace, name)
        known = self.table.get(key)
        if event.verb == "delete":
            self._take(key)
            return
        body = after(event)
        if event.verb == "create":
            known = Binding(at=now, created_at=now, created_by=author(event))
        elif known is None:
            known = Binding(at=now, created_at=created_at(body, now))
        role, subjects = (_role_of(body), subjects_of(body)) if body else _rest(event, known)
        self._set(key, Binding(known.at, known.created_at, known.created_by, role, subjects), now)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a binding of a dump."""
        kind, metadata = body.get("kind"), body.get("metadata")
        name = text(dig(metadata, "name"))
        if kind in ("RoleBinding", "ClusterRoleBinding") and name:
            key = key_of(text(dig(metadata, "namespace")), name)
            self._unlink(key)
            binding = Binding(at=now, created_at=created_at(body, now), role=_role_of(body), subjects=subjects_of(body))
            self.table.seed(key, binding)
            self._link(key, binding)

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        super().load(state)
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


def subjects_of(body: dict[str, Any] | None) -> tuple[str, ...]:
    """Give the subjects that a binding names, as they are kept."""
    found = (subject_of(one) for one in elements(body.get("subjects") if body else None)[:SUBJECTS])
    return tuple(dict.fromkeys(one for one in found if one))


def subject_of(subject: dict[str, Any]) -> str | None:
    """Give how a subject is kept; None for one that names nobody."""
    user, name = username_of(subject), text(subject.get("name"))
    if user:
        return known_as(f"user:{user}")
    return known_as(f"group:{name}") if subject.get("kind") == "Group" and name else None


def _rest(event: Event, known: Binding) -> tuple[tuple[str, str] | None, tuple[str, ...]]:
    """Give role and subjects after a write whose record has no whole binding. The role of a binding never changes."""
    paths: list[str] | None = patch_paths(event)
    if paths is None:
        return known.role, ()
    if len(paths) < MOST_PATHS and not any(path.startswith("subjects") for path in paths):
        return known.role, known.subjects
    named = subjects_of(stated(event))
    if isinstance(event.request, list):
        named = tuple(dict.fromkeys((*known.subjects, *named)))[:SUBJECTS]
    return known.role, named
