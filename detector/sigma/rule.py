"""Rules as they run: what pySigma parsed, translated and joined with our own keys.

Our keys live under ``redshank:`` in a rule's YAML and are checked by `Extras`; Sigma allows such custom keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from detector.errors import ConfigError
from detector.finding import RuleInfo
from detector.sigma.path import Path
from detector.sigma.predicate import And, Predicate

Pack = Literal["core", "extended", "hunting"]
PACKS: tuple[Pack, ...] = ("core", "extended", "hunting")
DEFAULT_PACKS: tuple[Pack, ...] = ("core", "extended")
"""Those that are on unless somebody says otherwise."""


def pack_names(packs: str | Iterable[str]) -> tuple[str, ...]:
    """Read names of packs, with commas or one by one. Raises ConfigError for one that does not exist."""
    given = packs.split(",") if isinstance(packs, str) else packs
    names = tuple(name.strip() for name in given if name.strip())
    unknown = [name for name in names if name not in PACKS]
    if unknown or not names:
        raise ConfigError(f"unknown pack {', '.join(unknown)!r}: choose from {', '.join(PACKS)}")
    return names


class Events(BaseModel):
    """Events of a rule's own test: one small event, or a sequence of them."""

    model_config = ConfigDict(extra="forbid")
    name: str = ""
    event: dict[str, Any] = Field(default_factory=dict, description="The event; what it leaves out is filled in.")
    events: list[dict[str, Any]] = Field(default_factory=list, description="Several events in order, instead of one.")
    repeat: int = Field(default=1, ge=1, le=10_000, description="How many times to send them; {n} counts from 1.")
    every: float = Field(default=1.0, ge=0, description="Seconds between two events.")


class Tests(BaseModel):
    """Tests of a rule, kept in the rule."""

    model_config = ConfigDict(extra="forbid")
    match: list[Events] = Field(default_factory=list, description="The rule must fire on each of these.")
    ignore: list[Events] = Field(default_factory=list, description="The rule must stay silent on each of these.")


class Extras(BaseModel):
    """Keys under ``redshank:`` in a rule, a correlation or a filter."""

    model_config = ConfigDict(extra="forbid")
    pack: Pack = Field(default="core", description="core and extended are on by default, hunting is off.")
    answers: list[str] = Field(default_factory=list, description="Ideas of the detection census this rule answers.")
    guide: str = Field(default="", description="The section of the hardening guide it watches.")
    threat_matrix: list[str] = Field(default_factory=list, description="Ids of the Threat Matrix for Kubernetes.")
    runbook: list[str] = Field(default_factory=list, description="What to do next, step by step.")
    message: str = Field(default="", max_length=300, description="What happened: {actor} read {target}.")
    tests: Tests = Field(default_factory=Tests, description="Events that must and must not fire it.")
    owner: str = Field(default="", description="Filters: who answers for the exception.")
    reason: str = Field(default="", description="Filters: why it is one.")
    expires: date | None = Field(default=None, description="Filters: the day it ends (event time, UTC).")


class Exemption(msgspec.Struct, frozen=True):
    """A Sigma filter: where its predicate does not hold, the rules it names stay silent."""

    id: str
    title: str
    rules: tuple[str, ...]
    """Ids or names of rules; empty for all."""
    predicate: Predicate
    extras: Any = None


class Rule(msgspec.Struct, frozen=True):
    """A rule about single events."""

    info: RuleInfo
    predicate: Predicate
    alerts: bool = True
    """False for base rules that only feed correlations."""
    early: bool = False
    """It speaks of ``stage`` and so is asked about RequestReceived too."""
    exemptions: tuple[Exemption, ...] = ()
    """The filters that apply to it."""
    shows: tuple[Path, ...] = ()
    """What its findings show beside their reasons (Sigma's ``fields``)."""

    @property
    def whole(self) -> Predicate:
        """The rule's predicate with its filters."""
        return (
            And((self.predicate, *(each.predicate for each in self.exemptions))) if self.exemptions else self.predicate
        )


class Correlation(msgspec.Struct, frozen=True):
    """A rule about several events. ``span`` is in microseconds."""

    info: RuleInfo
    kind: str
    """event_count, value_count, temporal or temporal_ordered."""
    bases: tuple[str, ...]
    """Ids of the rules it counts, in order."""
    group_by: tuple[tuple[Path, ...], ...]
    """For each base rule, the paths of the group-by fields."""
    span: int
    threshold: int
    value: tuple[Path, ...] = ()
    """value_count: the field whose distinct values count, for each base rule."""
