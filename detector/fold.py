"""The fold: ``state, changes = fold(state, record)``, detection as a deterministic function of a log.

There is no clock, disk, network or randomness in here. The same records always give the same alerts, whatever happened
to the process in between: a `snapshot` is the whole state, and a restored fold goes on as if nothing had been. One log
may hold the events of several clusters: rules are compiled once, everything else is kept by cluster (`Cluster`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from detector.alerts.suppress import Lift, Suppression, Suppressions
from detector.cluster import Changes, Cluster
from detector.counters import Counters, total
from detector.errors import RuleError, SnapshotError
from detector.finding import Alert, Verdict
from detector.formats import Batch
from detector.memory.seed import Seed
from detector.record import Record, Rules, Tick
from detector.sigma.engine import Compiled
from detector.sigma.load import load

MAX_CLUSTERS = 1_000
"""Clusters with a state of their own; those beyond share one."""
OTHERS = "(other clusters)"
MAGIC = b"redshank-state\0"
VERSION = 1
CHECKSUM = 32
"""Bytes of BLAKE2b behind the version byte of a snapshot."""


class Fold:
    """The state of one log, and how a record changes it."""

    def __init__(self) -> None:
        self.offset = -1
        self.control = Rules(())
        self.rules = Compiled(load(()))
        self.suppressions = Suppressions()
        self.clusters: dict[str, Cluster] = {}
        self.unusable: list[RuleError] = []
        """Why rules of the snapshot are not used."""

    def fold(self, record: Record) -> Changes:
        """Take in one record. Rules that cannot be used are refused in the changes; those before stay."""
        changes = Changes()
        match record.body:
            case Batch():
                self.cluster(record.cluster).batch(record.body, record.received_at, changes)
            case Tick(time):
                for cluster in self.clusters.values():
                    cluster.pass_time(time, changes)
            case Rules():
                self._use(record.body, changes)
            case Seed(entries, name):
                self.cluster(name).seed(entries)
            case Suppression() | Lift() | Verdict():
                self._decide(record.body)
                changes.decided.append(record.body)
        self.offset = record.offset
        return changes

    def cluster(self, name: str) -> Cluster:
        """Give the state of a cluster, new when its first event comes."""
        cluster = self.clusters.get(name)
        if cluster is None:
            if len(self.clusters) >= MAX_CLUSTERS and name != OTHERS:
                return self.cluster(OTHERS)
            cluster = self.clusters[name] = Cluster(name, self.rules, self.suppressions)
        return cluster

    def finish(self) -> list[Alert]:
        """Close all alerts, as at the end of an archive; gives their last revisions."""
        return [alert for cluster in self.clusters.values() for alert in cluster.alerts.close_all()]

    def _use(self, control: Rules, changes: Changes) -> None:
        try:
            self.rules = Compiled(load(control.files, control.packs))
        except RuleError as error:
            changes.refused = error
            return
        self.control = control
        for cluster in self.clusters.values():
            cluster.use(self.rules)

    def _decide(self, decision: Suppression | Lift | Verdict) -> None:
        match decision:
            case Suppression():
                self.suppressions.add(decision)
            case Lift(id=name):
                self.suppressions.lift(name)
            case Verdict():
                for cluster in self.clusters.values():
                    cluster.alerts.judge(decision)

    def stats(self) -> Counters:
        """Add up what happened in all clusters."""
        return total(cluster.stats() for cluster in self.clusters.values())

    def snapshot(self) -> bytes:
        """Give the whole state: a magic word, a version, a checksum, msgpack."""
        state = {
            "offset": self.offset,
            "control": msgspec.to_builtins(self.control),
            "suppressions": self.suppressions.dump(),
            "clusters": {name: cluster.dump() for name, cluster in self.clusters.items()},
        }
        packed = msgspec.msgpack.encode(state)
        return b"".join((MAGIC, bytes([VERSION]), _checksum(packed), packed))

    @classmethod
    def restore(cls, snapshot: bytes) -> Fold:
        """Make the fold a snapshot was taken of. Raises SnapshotError when it is damaged or of another version.

        Rules that a newer redshank refuses are left out, and listed in ``unusable``.
        """
        packed, fold = _verified(snapshot), cls()
        try:
            fold._load(msgspec.msgpack.decode(packed))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"the snapshot holds something else than this redshank writes: {error!r}") from None
        return fold

    def _load(self, state: dict[str, Any]) -> None:
        self.control = msgspec.convert(state["control"], Rules)
        self.rules, self.unusable = _usable(self.control)
        self.suppressions.load(state["suppressions"])
        self.offset = state["offset"]
        for name, one in state["clusters"].items():
            self.cluster(name).load(one)


def _usable(control: Rules) -> tuple[Compiled, list[RuleError]]:
    """Compile what can be: a file that cannot is left out, and if that cannot be helped, all are."""
    files, refused = list(control.files), list[RuleError]()
    while True:
        try:
            return Compiled(load(files, control.packs)), refused
        except RuleError as error:
            refused.append(error)
            left = [file for file in files if file.path != error.path]
            files = left if len(left) < len(files) else []


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
