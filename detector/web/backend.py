"""What the web pages need of the daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

import msgspec

from detector.alerts.suppress import Lift, Suppression
from detector.finding import Verdict
from detector.store.alerts import StoredAlert, Wanted
from detector.store.dead_letters import DeadLetter

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Redelivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which buried deliveries go out again: those of these ids, else those of a sink, else all."""

    ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=10_000)] | None = None
    sink: str | None = None
    all: bool = False


class Backend(Protocol):
    """The daemon. Its methods raise StoreError while the store has no room or a fault."""

    def ready(self) -> str:
        """Give "" while batches can be accepted, else the reason why not, in words fit for anybody."""

    def health(self) -> Mapping[str, str]:
        """Give what troubles which part; nothing when all is well."""

    def measure(self) -> None:
        """Bring gauges up to date: they are about to be read."""

    def now(self) -> int:
        """Give the time (microseconds)."""

    async def alerts(self, wanted: Wanted, limit: int) -> Sequence[StoredAlert]:
        """Give alerts, newest first."""

    async def alert(self, name: str) -> StoredAlert | None:
        """Give one by its id."""

    async def suppressions(self) -> Sequence[Suppression]:
        """Give those that are in force."""

    async def dead_letters(self, kind: str | None, limit: int) -> Sequence[DeadLetter]:
        """Give the newest."""

    async def redeliver(self, which: Redelivery) -> int:
        """Send buried deliveries again; gives how many."""

    async def control(self, control: Suppression | Lift | Verdict) -> None:
        """Put a control into the log; it is on the disk when this returns."""
