"""What is said about events: Reason, Finding, Alert, Verdict.

A Finding is one detector's word on one event. An Alert is findings grouped: what a person sees. An incident is an Alert
whose ``kind`` says so: alerts of one chain of actors, one attack, one story.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b
from typing import Any

import msgspec


def make_id(*parts: str) -> str:
    """Give the id that stands for some texts: 32 hex digits."""
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


class Level(IntEnum):
    """Sigma's levels, in order."""

    informational = 0
    low = 1
    medium = 2
    high = 3
    critical = 4

    @classmethod
    def parse(cls, name: str) -> Level:
        """Read a level by name, upper or lower case; ValueError names the choices."""
        try:
            return cls[name.lower()]
        except KeyError:
            raise ValueError(f"unknown level {name!r}: choose one of {', '.join(cls.__members__)}") from None


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why a rule holds: in `selection`, `field` has `value`, which `wanted` asks for."""

    selection: str
    field: str
    value: str
    wanted: str = ""

    def __str__(self) -> str:
        return f"{self.field} = {self.value}"


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One detector's word on one event. Times are microseconds since 1970."""

    id: str
    rule_id: str
    title: str
    level: Level
    time: int
    audit_id: str
    actor: str
    actor_kind: str
    reasons: tuple[Reason, ...]
    answers: tuple[str, ...] = ()
    target: str = ""
    source: str = ""
    group: tuple[str, ...] = ()
    """What findings of this rule must share, beside the actor, to be one alert."""
    since: int | None = None
    """The time of the first event it stands on, where these are more than one."""
    targets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    audit_ids: tuple[str, ...] = ()
    """All events it stands on, where these are more than one (correlations)."""
    count: int = 1
    """How many events it stands on."""
    continues: bool = False
    """A correlation that still holds: the same finding (same id), with one more event."""
    message: str = ""
    """What happened, in one sentence. It holds the client's words: escape it for where you show it."""


class RuleInfo(msgspec.Struct, frozen=True, gc=False):
    """What a person is told about a rule, whatever kind of detector it is."""

    id: str
    title: str
    level: Level
    description: str = ""
    author: str = ""
    pack: str = "core"
    answers: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    threat_matrix: tuple[str, ...] = ()
    guide: str = ""
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    runbook: tuple[str, ...] = ()
    message: str = ""
    """What its findings say happened: a sentence with names of fields in braces."""


class Chapter(msgspec.Struct, frozen=True, gc=False):
    """One alert as part of an incident's story, as it opened."""

    time: int
    """Microseconds since 1970."""
    alert: str
    """Id of the alert."""
    level: Level
    stage: str
    """How far an attacker is by then: ``recon``, ``access``, ``escalation``, ``persistence`` or ``impact``."""
    title: str
    actor: str
    target: str
    message: str


class Alert(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Findings of one rule about one actor within a group window: one absolute revision of it."""

    id: str
    revision: int
    status: str
    """``open`` or ``closed``."""
    change: str = "opened"
    """Why this revision is told: ``opened``, ``raised`` (the level rose), ``updated`` (the count) or ``closed``."""
    level: Level
    title: str
    rule: RuleInfo
    cluster: str
    actor: str
    actor_kind: str
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    first_seen: int
    last_seen: int
    count: int
    """Events it stands on, exact; the lists here are capped."""
    reasons: tuple[Reason, ...]
    audit_ids: tuple[str, ...]
    samples: tuple[dict[str, Any], ...]
    """Redacted events."""
    message: str = ""
    """What happened, in one sentence: the first finding's. An incident's story in short."""
    incident: str = ""
    """Id of the incident that it opened as a part of; an incident's story names alerts from before it, too.

    Of an incident: the one it goes on as.
    """
    kind: str = "alert"
    """``alert``, or ``incident``: alerts of one chain of actors, told like one alert."""
    story: tuple[Chapter, ...] = ()
    """The alerts of an incident, in the order of time."""


DISMISSED, CONFIRMED = "dismissed", "confirmed"


class Verdict(msgspec.Struct, frozen=True, tag="verdict"):
    """What a person says of an alert."""

    alert: str
    judgement: str
    """``dismissed`` (not worth telling) or ``confirmed`` (it is what it seems)."""
    who: str
    why: str
    at: int
    """Microseconds since 1970."""
