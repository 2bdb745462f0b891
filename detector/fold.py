"""The fold: ``state, changes = fold(state, record)``, detection as a deterministic function of a log.

There is no clock, disk, network or randomness in here. The same records always give the same alerts, whatever happened
to the process in between: a `snapshot` is the whole state, and a restored fold goes on as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from detector.alerts.group import Alerts
from detector.duplicates import Duplicates
from detector.errors import SnapshotError
from detector.event import SECOND, Event, micros
from detector.finding import Alert, Finding, RuleInfo
from detector.formats import Batch
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.load import load
from detector.sigma.source import RuleFile

SKEW = 60 * SECOND
"""How far a record's own time may lie after its arrival."""
LATENESS = 300 * SECOND
"""How far behind the newest event an event may be before it is counted as late."""
FORWARD, BACKWARD = 7 * 86_400 * SECOND, 3600 * SECOND
"""Steps of time that one archived record alone is not believed."""
BELIEVED = 3
"""So many records in a row must agree on a jump before it is believed."""
TRUNCATED = "audit.k8s.io/truncated"
"""The annotation of an event whose bodies the API server dropped."""
MAGIC = b"redshank-state\0"
VERSION = 1
CHECKSUM = 32
"""Bytes of BLAKE2b behind the version byte of a snapshot."""


class Tick(msgspec.Struct, frozen=True):
    """Nothing happened until ``time`` (microseconds)."""

    time: int


class Rules(msgspec.Struct, frozen=True):
    """Control: detect with these rules from here on; their full text is inside."""

    files: tuple[RuleFile, ...]
    packs: tuple[str, ...] = ("core", "extended")


class Record(msgspec.Struct, frozen=True):
    """One entry of the log. ``received_at`` (microseconds) is None for archived files."""

    offset: int
    body: Batch | Tick | Rules
    received_at: int | None = None


@dataclass(slots=True)
class Counters:
    """What happened to the events of a log; nothing is silent."""

    events: int = 0
    rejected: int = 0
    skipped: int = 0
    duplicates: int = 0
    late: int = 0
    undated: int = 0
    clamped: int = 0
    truncated: int = 0
    findings: int = 0


@dataclass(slots=True)
class Changes:
    """What one record changed: the findings on it, and alert revisions to tell."""

    findings: list[Finding] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)


class Fold:
    """The state, and how a record changes it."""

    def __init__(self, cluster: str = "") -> None:
        self.cluster = cluster
        self.offset = -1
        self.watermark = 0
        self.counters = Counters()
        self.control = Rules(())
        self.alerts = Alerts(cluster)
        self.sigma = SigmaDetector(Compiled(load(())))
        self._infos: dict[str, RuleInfo] = {}
        self._doubted: list[int] = []
        self._duplicates = Duplicates()

    def fold(self, record: Record) -> Changes:
        """Take in one record. Raises RuleError on unusable rules, and is then unchanged."""
        changes = Changes()
        match record.body:
            case Batch(events=events):
                self.counters.rejected += len(record.body.rejected)
                self.counters.skipped += record.body.skipped
                self._batch(events, record.received_at, changes)
            case Tick(time):
                self.watermark = max(self.watermark, time)
            case Rules():
                self._use(record.body)
        self.offset = record.offset
        changes.alerts.extend(self.alerts.expire(self.watermark))
        return changes

    def finish(self) -> list[Alert]:
        """Close all alerts, as at the end of an archive; gives their last revisions."""
        return self.alerts.close_all()

    def _use(self, control: Rules) -> None:
        state = self.sigma.dump()
        rules = load(control.files, control.packs)
        self.control, self.sigma = control, SigmaDetector(Compiled(rules))
        self._infos = {info.id: info for info in rules.infos()}
        self.sigma.load(state)

    def _batch(self, events: Sequence[Event], received_at: int | None, changes: Changes) -> None:
        counters, check, seen = self.counters, self.sigma.check, self._duplicates.seen
        counters.events += len(events)
        for event in events:
            if seen(event):
                counters.duplicates += 1
                continue
            if event.annotations is not None and TRUNCATED in event.annotations:
                counters.truncated += 1
            now = self._time(event, received_at)
            if self.watermark >= self.alerts.next_close:
                changes.alerts.extend(self.alerts.expire(self.watermark))
            for finding in check(event, now):
                self._found(finding, event, changes)

    def _found(self, finding: Finding, event: Event, changes: Changes) -> None:
        self.counters.findings += not finding.continues
        changes.findings.append(finding)
        changes.alerts.extend(self.alerts.add(finding, event, self._infos[finding.rule_id]))

    def _time(self, event: Event, received_at: int | None) -> int:
        """Give the time an event counts at (law 8), and move the watermark."""
        time = micros(event.stageTimestamp) or event.time
        if time is None:
            self.counters.undated += 1
            time = self.watermark if received_at is None else received_at
        elif received_at is not None:
            time = min(time, received_at + SKEW)
        elif self.watermark and not -BACKWARD <= time - self.watermark <= FORWARD:
            return self._doubt(time)
        if self._doubted:
            self._doubted.clear()
        if time > self.watermark:
            self.watermark = time
        elif time < self.watermark - LATENESS:
            self.counters.late += 1
        return time

    def _doubt(self, time: int) -> int:
        """Archived records have no time of arrival: one that jumps is believed only when others follow it."""
        if self._doubted and not self._agrees(time, self._doubted[-1]):
            self._doubted.clear()
        self._doubted.append(time)
        if len(self._doubted) < BELIEVED:
            self.counters.clamped += time > self.watermark
            self.counters.late += time < self.watermark
            return min(time, self.watermark)
        if time < self.watermark:
            self.sigma.forget()
        self.watermark = max(self._doubted)
        self._doubted.clear()
        return time

    def _agrees(self, time: int, last: int) -> bool:
        """Tell whether a jump goes where the one before it went: on from there, or near."""
        same_way = (time > self.watermark) == (last > self.watermark)
        return same_way and (abs(time - last) <= FORWARD or self.watermark < last < time)

    def snapshot(self) -> bytes:
        """Give the whole state: a magic word, a version, a checksum, msgpack."""
        state = {
            "cluster": self.cluster,
            "offset": self.offset,
            "watermark": self.watermark,
            "doubted": self._doubted,
            "counters": {name: getattr(self.counters, name) for name in Counters.__slots__},
            "control": msgspec.to_builtins(self.control),
            "sigma": self.sigma.dump(),
            "alerts": self.alerts.dump(),
            "duplicates": self._duplicates.dump(),
        }
        packed = msgspec.msgpack.encode(state)
        return b"".join((MAGIC, bytes([VERSION]), _checksum(packed), packed))

    @classmethod
    def restore(cls, snapshot: bytes) -> Fold:
        """Make the fold a snapshot was taken of. Raises SnapshotError when it is damaged or of another version."""
        state = msgspec.msgpack.decode(_verified(snapshot))
        fold = cls(state["cluster"])
        fold._use(msgspec.convert(state["control"], Rules))
        fold.offset, fold.watermark = state["offset"], state["watermark"]
        fold.counters = Counters(**state["counters"])
        fold._doubted = state["doubted"]
        fold.sigma.load(state["sigma"])
        fold.alerts.load(state["alerts"])
        fold._duplicates.load(state["duplicates"])
        return fold


def _verified(snapshot: bytes) -> bytes:
    if not snapshot.startswith(MAGIC) or len(snapshot) <= len(MAGIC) + CHECKSUM:
        raise SnapshotError("this is not a redshank snapshot")
    version, rest = snapshot[len(MAGIC)], snapshot[len(MAGIC) + 1 :]
    if version != VERSION:
        raise SnapshotError(f"the snapshot is of version {version}; this redshank reads version {VERSION}")
    packed = rest[CHECKSUM:]
    if _checksum(packed) != rest[:CHECKSUM]:
        raise SnapshotError("the snapshot is damaged: its checksum does not fit")
    return packed


def _checksum(packed: bytes) -> bytes:
    return blake2b(packed, digest_size=CHECKSUM).digest()
