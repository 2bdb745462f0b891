"""What the web pages need of the daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

import msgspec

from detector.alerts.suppress import Lift, Suppression
from detector.finding import Verdict
from detector.memory.seed import Seed
from detector.store.alerts import StoredAlert, Wanted
from detector.store.dead_letters import DeadLetter
from detector.store.deliveries import Depth, Outstanding

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Redelivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which buried deliveries go out again: those of these ids, else those of a sink, else all."""

    ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=10_000)] | None = None
    sink: str | None = None
    all: bool = False


class Heard(msgspec.Struct, frozen=True):
    """The last batch that API servers of a cluster sent."""

    last_at: int
    """When it came, in microseconds since 1970."""
    age: float | None
    """How old, in seconds by our clock, its last event was then; None where no event said when it was."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon runs with, and how far it is."""

    version: str
    started_at: int
    """In microseconds since 1970."""
    webhook: str
    """Where it takes audit events, such as ``https://127.0.0.1:8889``."""
    clusters: dict[str, Heard | None]
    """Those that are configured, and those heard of since the start; None where nothing came."""
    sinks: tuple[str, ...]
    outbox: dict[str, Depth]
    """What sinks have not taken, also those that are configured no more."""
    rules: str
    """The digest of the rules in force."""
    last: int
    """The newest offset of the journal."""
    folded: int
    """The newest offset whose alerts are stored."""
    used: int
    """Bytes of the journal."""
    lag: float
    """Age in seconds of the oldest entry that is not folded; 0 where all are."""
    restarts: int
    """How often the fold process died since the start."""


class Probed(Protocol):
    """Whatever a service manager asks how it is."""

    def ready(self) -> str:
        """Give "" while batches can be accepted, else the reason why not, in words fit for anybody."""

    async def measure(self) -> None:
        """Bring gauges up to date: they are about to be read. Raises StoreError."""


class Backend(Probed, Protocol):
    """The daemon. Its methods raise StoreError while the store has no room or a fault."""

    async def health(self) -> Mapping[str, str]:
        """Give what troubles which part; nothing when all is well."""

    async def status(self) -> Status:
        """Give what runs, and how far it is."""

    def now(self) -> int:
        """Give the time (microseconds)."""

    async def alerts(self, wanted: Wanted, limit: int) -> Sequence[StoredAlert]:
        """Give alerts, newest first."""

    async def alert(self, name: str) -> StoredAlert | None:
        """Give one by its id."""

    async def deliveries(self, name: str) -> Sequence[Outstanding]:
        """Give what sinks have not taken of an alert, by its id."""

    async def suppressions(self) -> Sequence[Suppression]:
        """Give those that are in force."""

    def silenced(self) -> Mapping[str, int]:
        """Give, by id of a suppression, how many findings it has silenced; nothing for those that silenced none."""

    async def dead_letters(self, kind: str | None, limit: int) -> Sequence[DeadLetter]:
        """Give the newest."""

    async def redeliver(self, which: Redelivery) -> int:
        """Send buried deliveries again; gives how many."""

    async def inject(self, cluster: str, mark: str) -> str:
        """Take in the batch of a test (`detector.service.marked`), as if it had been posted; gives its audit id."""

    async def control(self, control: Suppression | Lift | Verdict | Seed) -> None:
        """Put a control into the log; it is on the disk when this returns."""
