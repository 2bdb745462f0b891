"""What every subject of memory is, and what they share: who did it, keys of bounded length."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from detector.bounded import fit
from detector.event import Event, ObjectRef
from detector.fields.actor import actor, actor_builtin
from detector.fields.facts import Made
from detector.memory.bodies import created_at
from detector.memory.sightings import Sighting
from detector.memory.table import Table

LONGEST = 253
"""Longest name of Kubernetes' own; a longer text is known by its digest, and shown cut."""
WRITES = ("create", "update", "patch", "delete")
RBAC = "rbac.authorization.k8s.io"


Places = Mapping[tuple[str, str], tuple[str, ...]]
"""Kinds of requests: (API group, resource or resource/subresource), and the verbs."""


class Subject:
    """One subject of memory.

    A subject is a file with such a class, a line in `detector.memory.memory.Memory`, its questions in
    `detector.fields.facts` and its fields in a file ``detector/fields/memory_*.py``. All state is in ``tables``.
    """

    teaches: ClassVar[Places] = {}
    """From which requests it learns."""
    every: ClassVar[bool] = False
    """Whether `watch` wants every event, refused ones too. It costs what it costs for each event there is."""
    meets: ClassVar[bool] = False
    """Whether `meet` wants what somebody is seen doing, once in five minutes (`detector.memory.sightings`)."""

    def __init__(self, **tables: Table[Any]) -> None:
        self.tables = tables

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a request of ``teaches`` (on ``ref``) that succeeded and was no dry run."""

    def watch(self, event: Event, now: int) -> None:
        """Take in any event; before `learn`."""

    def meet(self, met: Sighting, now: int) -> None:
        """Take in what somebody is seen doing: only what the same sighting does not change again in its span."""

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in an object as the API server has it, of any kind: from a dump of the cluster."""

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {name: table.dump() for name, table in self.tables.items()}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; tables that it did not have stay empty."""
        for name, table in self.tables.items():
            if name in state:
                table.restore(state[name])
        self.follow()

    def follow(self) -> None:
        """Work out anew what follows from the tables, which were changed from outside."""


def key_of(*parts: str | None) -> tuple[str, ...]:
    """Make a key of names, each at most `LONGEST` characters."""
    return tuple(map(known_as, parts))


def known_as(name: str | None) -> str:
    """Give a name, or for a long one its digest: no name is so long that it can pass for another."""
    if name is None or len(name) <= LONGEST:
        return name or ""
    return "#" + blake2b(name.encode(errors="replace"), digest_size=16).hexdigest()


def shown(name: str | None) -> str | None:
    """Give a name cut to what is kept of it."""
    return fit(name, LONGEST) if name else None


def author(event: Event) -> str | None:
    """Give the actor, cut to what is kept."""
    return shown(actor(event))


def by_itself(event: Event) -> bool:
    """Tell whether the cluster's own machinery acts, and so carries out what somebody else asked for."""
    return actor_builtin(event) is True


def begun(event: Event, body: dict[str, Any] | None, known: Made | None, now: int) -> dict[str, Any]:
    """Give the attributes of `Made` after a write."""
    if event.verb == "create":
        return {"at": now, "created_at": now, "created_by": author(event)}
    if known is None:
        return {"at": now, "created_at": created_at(body, now)}
    return {"at": known.at, "created_at": known.created_at, "created_by": known.created_by}
