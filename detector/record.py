"""What a log is made of: records. A batch of events, a tick, or a control: whatever else can change an outcome."""

from __future__ import annotations

import msgspec

from detector.alerts.suppress import Lift, Suppression
from detector.finding import Verdict
from detector.formats import Batch
from detector.memory.seed import Seed
from detector.sigma.rule import DEFAULT_PACKS
from detector.sigma.source import RuleFile


class Tick(msgspec.Struct, frozen=True):
    """Nothing happened until ``time`` (microseconds)."""

    time: int


class Rules(msgspec.Struct, frozen=True, tag="rules"):
    """Control: detect with these rules from here on; their full text is inside."""

    files: tuple[RuleFile, ...]
    packs: tuple[str, ...] = DEFAULT_PACKS


Control = Rules | Suppression | Lift | Verdict | Seed


class Record(msgspec.Struct, frozen=True):
    """One entry of a log. ``received_at`` (microseconds) is None for archived files.

    A batch belongs to ``cluster``; ticks and controls are for all clusters of the log.
    """

    offset: int
    body: Batch | Tick | Control
    received_at: int | None = None
    cluster: str = ""
