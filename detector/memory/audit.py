"""The audit log itself: Audit-IDs used again, and in how much detail requests are recorded."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, ClassVar
from zlib import crc32

import msgspec

from detector.event import Event
from detector.fields.actor import effective_user
from detector.fields.habits import Recorded
from detector.fields.memory_audit import LEVELS
from detector.fields.request import outcome
from detector.memory.sightings import Sighting, Sightings
from detector.memory.subject import Subject, known_as
from detector.memory.table import Table

SIZE = 20_000
RECENT = 16_384
"""Audit-IDs in one generation; those of two are remembered."""


class Audit(Subject):
    """Knows the requests of the last Audit-IDs, and the level at which each kind of request was recorded."""

    every: ClassVar[bool] = True
    meets: ClassVar[bool] = True

    def __init__(self, sightings: Sightings) -> None:
        self.table = Table(SIZE, Recorded, sightings.forget)
        super().__init__(audit=self.table)
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}

    def reused(self, event: Event) -> bool | None:
        """Tell whether another request had the Audit-ID of this one (else None); stages of one request share it."""
        name = known_as(event.auditID)
        first = self._recent.get(name) or self._older.get(name)
        return None if first is None else first != _request(event) or None

    def level(self, event: Event) -> Recorded | None:
        """Give the levels at which such requests of the user were recorded before; None for those not allowed."""
        user, ref = effective_user(event), event.objectRef
        if user is None or ref is None or outcome(event) != "allowed":
            return None
        return self.table.get(_kind(user, event.verb, ref.resource, ref.subresource, ref.namespace))

    def watch(self, event: Event, now: int) -> None:
        """Take in an Audit-ID; the first request that has it keeps it."""
        name = known_as(event.auditID)
        if not name or name in self._recent:
            return
        first = self._older.get(name)
        self._recent[name] = _request(event) if first is None else first
        if len(self._recent) >= RECENT:
            self._older, self._recent = self._recent, {}

    def meet(self, met: Sighting, now: int) -> None:
        """Take in at which level a kind of request is recorded."""
        if met.level not in LEVELS or met.resource is None:
            return
        key = _kind(met.effective, met.verb, met.resource, met.subresource, met.namespace)
        known = self.table.get(key)
        if known is None:
            self.table.learn(key, Recorded(now, (met.level,)), now)
        elif met.level not in known.levels:
            self.table.learn(key, msgspec.structs.replace(known, levels=(*known.levels, met.level)), now)

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        ids = {"recent": list(self._recent.items()), "older": list(self._older.items())}
        return {**super().dump(), **ids}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._recent, self._older = dict(state.get("recent", ())), dict(state.get("older", ()))
        super().load(state)


def _request(event: Event) -> int:
    """Give a number for what the stages of one request share."""
    user = event.user and event.user.username
    return crc32(f"{user}\0{event.verb}\0{event.requestURI}".encode(errors="replace"))


def _kind(*parts: str | None) -> tuple[str]:
    text = "\0".join(part or "" for part in parts)
    return (blake2b(text.encode(errors="replace"), digest_size=16).hexdigest(),)
