"""Ledger: what became of the rows of the outbox, written to the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from detector.errors import RedshankError
from detector.event import SECOND
from detector.sinks.base import Clock
from detector.sinks.pacing import backoff
from detector.sinks.settings import SinkSettings
from detector.store.deliveries import Delivery

log = logging.getLogger(__name__)


class OutboxStore(Protocol):
    """What the outbox needs of `detector.store.state.State`."""

    def due(self, sink: str, now: int, limit: int) -> Sequence[Delivery]:
        """Give the rows to send now, oldest first, none while an older revision of its alert waits."""

    def delivered(self, ids: Sequence[int]) -> Future[None]:
        """Take rows out: the sink said yes."""

    def retry(self, ids: Sequence[int], at: int, error: str) -> Future[None]:
        """Put rows off until a time, and count the try."""

    def bury(self, ids: Sequence[int], error: str) -> Future[None]:
        """Move rows to the dead letters."""

    def abandon(self, kept: Sequence[str], before: int) -> Future[int]:
        """Bury some of what has waited since before a time for sinks other than those kept; gives how many."""


Watch = Callable[[str, str, Sequence[Delivery]], None]
"""Told the sink, ``delivered``, ``retried`` or ``buried``, and the rows; for metrics."""


class Ledger:
    """Writes down, for one sink, which rows were delivered, are to be sent again, or are given up."""

    def __init__(self, settings: SinkSettings, store: OutboxStore, clock: Clock, watch: Watch) -> None:
        self._settings, self._store, self._clock, self._watch = settings, store, clock, watch

    def expired(self, row: Delivery) -> bool:
        """Tell whether a row has waited too long to be tried again."""
        return self._clock.now() - row.created_at > self._settings.expire_after.total_seconds() * SECOND

    async def delivered(self, rows: Sequence[Delivery]) -> None:
        """Take rows out of the outbox: the sink said yes."""
        await self._write("delivered", rows, self._store.delivered)

    async def later(self, rows: Sequence[Delivery], reason: str, wait: float) -> None:
        """Put rows off for so many seconds; those that have waited too long are given up."""
        at, error = self._clock.now() + int(wait * SECOND), self._settings.scrub(reason)
        await self.bury([row for row in rows if self.expired(row)], f"not delivered in time: {reason}")
        left = [row for row in rows if not self.expired(row)]
        await self._write("retried", left, lambda ids: self._store.retry(ids, at, error))

    async def bury(self, rows: Sequence[Delivery], reason: str) -> None:
        """Give rows up: they go to the dead letters, from where they can be sent again."""
        error = self._settings.scrub(reason)
        if rows:
            log.error("sink %s: %d to the dead letters: %s", self._settings.name, len(rows), error)
        await self._write("buried", rows, lambda ids: self._store.bury(ids, error))

    async def _write(
        self, outcome: str, rows: Sequence[Delivery], write: Callable[[Sequence[int]], Future[Any]]
    ) -> None:
        """Write, and go on trying: rows count as under way until then, so that a full disk repeats no message."""
        failures = 0
        while rows:
            try:
                await asyncio.shield(asyncio.wrap_future(write([row.id for row in rows])))
                break
            except RedshankError as error:
                failures += 1
                if failures == 1:
                    log.error("sink %s: cannot note what was %s: %s", self._settings.name, outcome, error)
                await self._clock.sleep(backoff(failures))
        if rows:
            self._watch(self._settings.name, outcome, rows)
