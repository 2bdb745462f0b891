"""Memory: all subjects of one cluster, and which of them an event concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from detector.event import Event
from detector.fields.facts import attach
from detector.fields.request import dry_run, outcome
from detector.memory.audit import Audit
from detector.memory.bindings import Bindings
from detector.memory.certificates import Certificates
from detector.memory.denied import Denied
from detector.memory.grants import Grants
from detector.memory.hooks import Hooks
from detector.memory.identities import Identities
from detector.memory.namespaces import Namespaces
from detector.memory.pods import Pods
from detector.memory.roles import Roles
from detector.memory.sightings import Sightings
from detector.memory.subject import Subject
from detector.memory.table import Table
from detector.memory.tokens import Tokens
from detector.memory.workloads import Workloads

Place = tuple[str | None, str | None, str | None]
"""Verb, resource and subresource of a request."""


class Memory:
    """What one cluster has taught. Its subjects are attributes, and answer what rules ask of them.

    `look` and `learn` are called for every event: what teaches nothing, as nearly all do, costs one look into a dict.
    """

    def __init__(self) -> None:
        self.now = 0
        self.familiar = False
        self.workloads = Workloads()
        self.pods = Pods(self.workloads)
        self.roles = Roles()
        self.grants = Grants()
        self.bindings = Bindings(self.roles, self.grants)
        self.namespaces = Namespaces()
        self.hooks = Hooks()
        self.certificates = Certificates()
        self.denied = Denied()
        self._sightings = Sightings()
        self.tokens = Tokens(self._sightings)
        self.identities = Identities(self._sightings)
        self.audit = Audit(self._sightings)
        self.subjects = {name: one for name, one in vars(self).items() if isinstance(one, Subject)}
        self._watching = [one.watch for one in self.subjects.values() if one.every]
        self._meeting = [one.meet for one in self.subjects.values() if one.meets]
        self._learning = _by_place(self.subjects.values())

    def look(self, event: Event, now: int) -> None:
        """Give the event its facts, at ``now`` (microseconds)."""
        self.now = now
        self.familiar = self._sightings.look(event, now)
        attach(event, self)

    def learn(self, event: Event, now: int) -> None:
        """Take in what the event tells. Only requests that succeeded and were no dry runs change what is known."""
        for watch in self._watching:
            watch(event, now)
        met = self._sightings.meet()
        if met is not None:
            for meet in self._meeting:
                meet(met, now)
        ref = event.objectRef
        if ref is None:
            return
        subjects = self._learning.get((event.verb, ref.resource, ref.subresource))
        if subjects is None or outcome(event) != "allowed" or _is_dry_run(event):
            return
        for group, subject in subjects:
            if ref.apiGroup in (group, None, ""):
                subject.learn(event, ref, now)

    def seed(self, entries: Mapping[str, Iterable[tuple[tuple[str, ...], Any]]]) -> int:
        """Take in what a dump of the cluster tells (`detector.memory.seed`); gives how many entries do not fit."""
        tables, misfits = dict(self.tables()), 0
        for name, pairs in entries.items():
            for key, value in pairs:
                misfits += name not in tables or not tables[name].plant(key, value)
        for subject in self.subjects.values():
            subject.follow()
        return misfits

    def tables(self) -> Iterator[tuple[str, Table[Any]]]:
        """Give all tables by name; no two subjects use the same one."""
        return ((name, table) for one in self.subjects.values() for name, table in one.tables.items())

    def sizes(self) -> dict[str, int]:
        """Give how many entries each table has."""
        return {name: len(table) for name, table in self.tables()}

    @property
    def evicted(self) -> int:
        """Entries let go because there were too many."""
        return sum(table.evicted for _, table in self.tables())

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {name: subject.dump() for name, subject in self.subjects.items()}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; subjects that it did not have know nothing yet."""
        for name, subject in self.subjects.items():
            if name in state:
                subject.load(state[name])
        self._sightings.forget()


def _is_dry_run(event: Event) -> bool:
    """Tell whether nothing was changed; quickly for most, whose address cannot say so."""
    uri = event.requestURI or ""
    return (event.verb == "delete" or "dryRun" in uri or "%" in uri) and dry_run(event) is True


def _by_place(subjects: Iterable[Subject]) -> dict[Place, list[tuple[str, Subject]]]:
    places: dict[Place, list[tuple[str, Subject]]] = {}
    for subject in subjects:
        for (group, key), verbs in subject.teaches.items():
            resource, _, subresource = key.partition("/")
            for verb in verbs:
                places.setdefault((verb, resource, subresource or None), []).append((group, subject))
    return places
