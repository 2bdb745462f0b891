"""Worker: brings one sink what waits for it in the store, in order, with back-off, and never twice at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from detector.errors import ConfigError
from detector.sinks.base import Clock, Failure, RefusedError, RetryError
from detector.sinks.ledger import Ledger, OutboxStore, Watch
from detector.sinks.pacing import RateLimit, backoff
from detector.sinks.settings import SinkSettings
from detector.store.deliveries import Delivery

POLL = 1.0
"""Seconds after which a worker with nothing to do looks again: rows put off come due without anybody saying so."""
GRACE = 1.0
"""Seconds a sink has to close itself."""

log = logging.getLogger(__name__)


class Worker:
    """Brings one sink what waits for it."""

    def __init__(self, settings: SinkSettings, store: OutboxStore, clock: Clock, watch: Watch) -> None:
        self.settings, self.sink = settings, settings.open(clock)
        self.trouble = ""
        """Why the destination takes nothing now; empty while all is well."""
        self._store, self._clock = store, clock
        self._ledger = Ledger(settings, store, clock, watch)
        self._rate = RateLimit(settings.rate, clock)
        self._most = min(settings.batch_size, max(1, int(settings.rate or settings.batch_size)))
        self._size = self._most
        self._stirred = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], tuple[Delivery, ...]] = {}
        self._failures = 0
        self._paused_until = 0.0
        self._closing = False
        self._tasks = [asyncio.create_task(self._work(), name=f"outbox {settings.name}")]
        if self.sink.every is not None:
            self._tasks.append(asyncio.create_task(self._repeat(self.sink.every), name=f"repeat {settings.name}"))

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._stirred.set()

    async def close(self, deadline: float) -> None:
        """Send what is due and can be sent within so many seconds, and let the sink go; the rest stays in the store."""
        self._closing = True
        self.wake()
        await asyncio.wait(self._tasks[:1], timeout=deadline)
        tasks = [*self._tasks, *self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(GRACE):
                await self.sink.close()
        except Exception as error:
            log.warning("sink %s did not close: %s", self.settings.name, self._clean(error))

    async def _work(self) -> None:
        while True:
            self._stirred.clear()
            try:
                wait = await self._step()
            except Exception as error:
                log.error("sink %s: the outbox cannot be read: %s", self.settings.name, self._clean(error))
                wait = POLL
            if wait and self._closing and not self._under_way:
                return
            if wait:
                await self._rest(wait)

    async def _step(self) -> float:
        """Begin one delivery, or give the seconds to wait for something to do."""
        pause = self._paused_until - self._clock.monotonic()
        if pause > 0:
            return pause
        if len(self._under_way) >= (1 if self.trouble else self.settings.concurrency):
            return POLL
        rows = await self._pick()
        if not rows:
            return POLL
        await self._rate.take(len(rows))
        task = asyncio.create_task(self._deliver(rows))
        self._under_way[task] = rows
        task.add_done_callback(self._landed)
        return 0.0

    async def _rest(self, seconds: float) -> None:
        waits = [asyncio.create_task(self._stirred.wait()), asyncio.create_task(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sink %s: what was sent cannot be noted: %s", self.settings.name, self._clean(error))
            self._pause(None)  # it will be sent again

    async def _pick(self) -> tuple[Delivery, ...]:
        """Choose what to send: of each alert the oldest revision.

        While the destination takes nothing, what has waited too long is given up unsent.
        """
        free = await self._free()
        while self.trouble and (late := [row for row in free if self._ledger.expired(row)]):
            await self._ledger.bury(late, f"not delivered in time: {self.trouble}")
            free = await self._free()
        first: dict[str, Delivery] = {}
        for row in free[: self._size]:
            first.setdefault(row.alert.id, row)
        return tuple(first.values())

    async def _free(self) -> list[Delivery]:
        """Give rows that are due, none of an alert that is under way."""
        flying = [row for rows in self._under_way.values() for row in rows]
        busy = {row.alert.id for row in flying}
        most = self._most + len(flying)
        rows = await asyncio.to_thread(self._store.due, self.settings.name, self._clock.now(), most)
        return [row for row in rows if row.alert.id not in busy]

    async def _deliver(self, rows: Sequence[Delivery]) -> None:
        try:
            failures = await self._attempt(rows)
        except RetryError as error:
            await self._put_off(rows, error)
        except RefusedError:
            self._well()
            middle = len(rows) // 2
            await self._deliver(rows[:middle])
            await self._deliver(rows[middle:])
        else:
            await self._settle(rows, failures)

    async def _attempt(self, rows: Sequence[Delivery]) -> list[Failure]:
        """Send once. Raises RetryError for the sink as a whole, and RefusedError where one of several is at fault."""
        alone = len(rows) == 1
        limit = self.settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(limit):
                return await self.sink.send([row.alert for row in rows])
        except RetryError:
            raise
        except TimeoutError:
            raise RetryError(f"no answer within {limit:g} s") from None
        except ConfigError as error:
            raise RetryError(str(error)) from None
        except RefusedError as error:
            if alone:
                return [Failure(0, error.reason, permanent=True)]
            raise
        except Exception as error:  # a fault of ours must cost neither the neighbours nor the sink
            if alone:
                log.error("sink %s: a fault of ours: %s", self.settings.name, self._clean(repr(error)))
                return [Failure(0, f"fault in the sink: {error!r}", permanent=False)]
            raise RefusedError(repr(error)) from None

    async def _settle(self, rows: Sequence[Delivery], failures: Sequence[Failure]) -> None:
        """Write down what became of each alert of a batch."""
        self._well()
        failed = {failure.place: failure for failure in failures}
        await self._ledger.delivered([row for place, row in enumerate(rows) if place not in failed])
        for place, failure in failed.items():
            row = rows[place]
            if failure.permanent:
                await self._ledger.bury([row], failure.reason)
            else:
                await self._ledger.later([row], failure.reason, backoff(row.tries + 1))

    async def _put_off(self, rows: Sequence[Delivery], error: RetryError) -> None:
        """Leave the destination alone for a while, then ask with fewer alerts: one of these may be what it fails on.

        Each row waits by its own number of tries, so that others come first, and so that a restart changes nothing.
        """
        self._size = max(1, self._size // 2)
        pause = self._pause(error.after)
        if not self.trouble:
            log.warning("sink %s takes nothing, trying again later: %s", self.settings.name, self._clean(error))
        self.trouble = self._clean(error)
        for tries in {row.tries for row in rows}:
            wait = max(pause, backoff(tries + 1))
            await self._ledger.later([row for row in rows if row.tries == tries], error.reason, wait)

    def _pause(self, after: float | None) -> float:
        self._failures += 1
        pause = backoff(self._failures, after)
        self._paused_until = max(self._paused_until, self._clock.monotonic() + pause)
        return pause

    def _well(self) -> None:
        """Hear that the destination answers."""
        if self.trouble:
            log.warning("sink %s takes alerts again", self.settings.name)
        self._failures, self.trouble = 0, ""
        self._size = min(self._most, self._size * 2)

    def _clean(self, reason: BaseException | str) -> str:
        return self.settings.scrub(str(reason) or type(reason).__name__)

    async def _repeat(self, every: float) -> None:
        """Have the sink repeat what its destination would forget."""
        while True:
            await self._clock.sleep(every)
            try:
                async with asyncio.timeout(self.settings.timeout.total_seconds()):
                    await self.sink.again()
            except Exception as error:
                log.info("sink %s could not repeat: %s", self.settings.name, self._clean(error))
