"""What the web pages and the command line ask of a running daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import uuid4

from detector.alerts.suppress import MAX_SUPPRESSIONS, Lift, Suppression
from detector.errors import RedshankError, StoreError
from detector.finding import Verdict
from detector.memory.seed import Seed
from detector.outbox import Outbox
from detector.record import Control
from detector.service.folding import Folding
from detector.service.marked import marked_body
from detector.service.observe import Observe
from detector.service.readings import Reading, Readings
from detector.sources.webhook import Webhook
from detector.store.alerts import StoredAlert, Wanted
from detector.store.dead_letters import DeadLetter
from detector.store.deliveries import Outstanding
from detector.store.directory import Store
from detector.version import __version__
from detector.web import Redelivery, Status

OK = 200
BEHIND = 60.0
"""Seconds the fold may be behind before it counts as trouble."""


class DaemonBackend:
    """Answers for the daemon; see `detector.web.Backend`."""

    def __init__(
        self,
        store: Store,
        folding: Folding,
        outbox: Outbox,
        observe: Observe,
        webhook: Webhook,
        readings: Readings,
        control: Callable[[Control], Awaitable[None]],
    ) -> None:
        self._store, self._folding, self._outbox, self._observe = store, folding, outbox, observe
        self._webhook, self._readings, self._control = webhook, readings, control
        self.stopping = False

    def ready(self) -> str:
        """Give "" while batches can be accepted, else why not."""
        if self.stopping:
            return "stopping"
        return "the journal has no room" if self._store.journal.trouble() else ""

    async def _read(self) -> Reading:
        return await self._readings.read(self._folding.offset, self._folding.pid)

    async def health(self) -> Mapping[str, str]:
        """Give what troubles which part. Raises StoreError."""
        troubles = {f"sink {name}": why for name, why in self._outbox.trouble.items()}
        if full := self._store.journal.trouble():
            troubles["journal"] = f"{full}; API servers are told to come again"
        if not self._folding.ready.is_set():
            troubles["fold"] = "starting"
        elif (lag := self._observe.lag(await self._read())) > BEHIND:
            troubles["fold"] = f"{lag:.0f} s behind"
        return troubles

    async def status(self) -> Status:
        """Give what runs, and how far it is. Raises StoreError."""
        journal, reading = self._store.journal, await self._read()
        return Status(
            version=__version__,
            started_at=self._observe.started_at,
            webhook=self._webhook.url,
            clusters={**dict.fromkeys(self._webhook.settings.clusters), **self._observe.heard},
            sinks=tuple(self._outbox.names),
            outbox=reading.depths,
            rules=reading.rules,
            last=journal.last,
            folded=self._folding.offset,
            used=journal.used,
            lag=self._observe.lag(reading),
            restarts=self._folding.restarts,
        )

    async def measure(self) -> None:
        """Bring gauges up to date. Raises StoreError."""
        self._observe.measure(await self._read(), self._folding, self._outbox.names)
        self._observe.metrics.intake.connections.set(self._webhook.connections)

    def now(self) -> int:
        """Give the time (microseconds)."""
        return self._observe.clock.now()

    async def alerts(self, wanted: Wanted, limit: int) -> Sequence[StoredAlert]:
        """Give alerts, newest first."""
        return await asyncio.to_thread(self._store.state.alerts, wanted, limit)

    async def alert(self, name: str) -> StoredAlert | None:
        """Give one by its id."""
        return await asyncio.to_thread(self._store.state.alert, name)

    async def deliveries(self, name: str) -> Sequence[Outstanding]:
        """Give what sinks have not taken of an alert."""
        return await asyncio.to_thread(self._store.state.deliveries, name)

    async def suppressions(self) -> Sequence[Suppression]:
        """Give those that are in force."""
        found = await asyncio.to_thread(self._store.state.suppressions)
        return [one for one in found if one.until > self.now()]

    def silenced(self) -> Mapping[str, int]:
        """Give what the fold has told last."""
        return self._observe.silenced

    async def dead_letters(self, kind: str | None, limit: int) -> Sequence[DeadLetter]:
        """Give the newest."""
        return await asyncio.to_thread(self._store.state.dead_letters, kind, limit)

    async def redeliver(self, which: Redelivery) -> int:
        """Send buried deliveries again."""
        ids = None if which.ids is None else list(which.ids)
        count = await asyncio.wrap_future(self._store.state.redeliver(ids, which.sink))
        self._outbox.wake()
        return count

    async def inject(self, cluster: str, mark: str) -> str:
        """Take in the batch of a test, as if it had been posted. Raises RedshankError when it is refused."""
        audit_id = str(uuid4())
        answer = await self._webhook.inject(cluster, marked_body(mark, audit_id, self.now()))
        if answer.status != OK:
            raise (StoreError if answer.retry_after else RedshankError)(answer.message)
        return audit_id

    async def control(self, control: Suppression | Lift | Verdict | Seed) -> None:
        """Put a control into the journal; it is on the disk when this returns."""
        if isinstance(control, Suppression) and len(await self.suppressions()) >= MAX_SUPPRESSIONS:
            raise RedshankError(f"{MAX_SUPPRESSIONS} suppressions are in force: lift one first")
        await self._control(control)
