"""Outbox: brings the alerts that wait in the store to the sinks, each sink at its own pace.

A row leaves the store only when its sink said yes, or for the dead letters with the reason: when the destination
refuses that alert for good, when it could not be delivered for `SinkSettings.expire_after`, or when more waits than the
sink's settings allow. Delivery is at least once: what was under way when the process died is sent again, under the same
alert id and revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from detector.errors import ConfigError
from detector.event import SECOND
from detector.finding import Alert
from detector.sinks.base import Clock, SystemClock
from detector.sinks.ledger import OutboxStore, Watch
from detector.sinks.settings import EXPIRE_AFTER, SinkSettings, wants
from detector.sinks.worker import Worker
from detector.store.deliveries import AT_ONCE, Message


class Outbox:
    """The workers of all sinks. To be made, and used, inside one running event loop."""

    def __init__(self, store: OutboxStore, clock: Clock | None = None, watch: Watch = lambda *_: None) -> None:
        self._store, self._clock, self._watch = store, clock or SystemClock(), watch
        self._settings: dict[str, SinkSettings] = {}
        self._workers: dict[str, Worker] = {}
        self._changing = asyncio.Lock()

    async def configure(
        self, sinks: Sequence[SinkSettings], opened: Sequence[Alert] = (), *, deadline: float = 10.0
    ) -> None:
        """Make the sinks these: new ones start, changed ones start anew, others stop. ``opened``: alerts now open.

        A changed sink loses nothing: its rows wait in the store until the new one starts. Raises ConfigError, and
        changes nothing, where two sinks have one name.
        """
        wanted = {settings.name: settings for settings in sinks}
        if len(wanted) < len(sinks):
            raise ConfigError("sinks: two have the same name; each needs one of its own")
        async with self._changing:
            self._settings = wanted
            kept = {name for name, worker in self._workers.items() if wanted.get(name) == worker.settings}
            await self._stop([name for name in self._workers if name not in kept], deadline)
            for name in wanted.keys() - kept:
                self._start(wanted[name], opened)

    def _start(self, settings: SinkSettings, opened: Sequence[Alert]) -> None:
        worker = self._workers[settings.name] = Worker(settings, self._store, self._clock, self._watch)
        worker.sink.resume([alert for alert in opened if wants(settings, alert)])

    async def _stop(self, names: Sequence[str], deadline: float) -> None:
        workers = [self._workers.pop(name) for name in names]
        await asyncio.gather(*(worker.close(deadline) for worker in workers))

    def deliveries(self, alerts: Sequence[Alert]) -> list[Message]:
        """Give the rows that alert revisions need in the store."""
        return [
            Message(name, place, settings.terms)
            for place, alert in enumerate(alerts)
            for name, settings in self._settings.items()
            if wants(settings, alert)
        ]

    def wake(self) -> None:
        """Say that rows were committed."""
        for worker in self._workers.values():
            worker.wake()

    @property
    def names(self) -> list[str]:
        """The sinks there are."""
        return list(self._settings)

    @property
    def trouble(self) -> dict[str, str]:
        """The sinks that take nothing now, and why."""
        return {name: worker.trouble for name, worker in self._workers.items() if worker.trouble}

    async def expire(self) -> None:
        """Give up what waits for sinks that are configured no more, when it is as old as others may get.

        To be called now and then. Raises StoreError.
        """
        before = self._clock.now() - int(EXPIRE_AFTER.total_seconds() * SECOND)
        while await asyncio.wrap_future(self._store.abandon(self.names, before)) >= AT_ONCE:
            pass  # so many at a time, that others write in between

    async def close(self, deadline: float) -> None:
        """Send what can be sent within so many seconds, then stop; what is left stays in the store."""
        async with self._changing:
            await self._stop(list(self._workers), deadline)
