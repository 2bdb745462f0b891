"""The daemon's side of the fold process: starts it, feeds it, stores what it tells, starts it again when it dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from detector.errors import RedshankError, StoreError
from detector.outbox import Outbox
from detector.service.messages import Begin, FromFold, More, Ready, Save, Saved, Stop, ToFold, Told, Trying, Unsaved
from detector.service.process import FoldProcess
from detector.service.suspect import Suspect
from detector.service.worker import BAD_STATE
from detector.store.directory import Store

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a fold process that died is started again, doubled each time."""


class FoldError(RedshankError):
    """The fold process cannot go on."""


class Folding:
    """Keeps one fold process running. Every alert it tells is in the state, with its deliveries, before it is shown."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        *,
        every: float,
        told: Callable[[Told], None],
        passed_over: Callable[[], None] = lambda: None,
    ) -> None:
        self.journal, self.state, self.snapshots = store.journal, store.state, store.snapshots
        self.outbox = outbox
        self.every, self._told, self._passed_over = every, told, passed_over
        self.offset = -1
        """The newest offset that is folded and stored."""
        self.ready = asyncio.Event()
        self.restarts = 0
        self._suspect = Suspect(store)
        self._reached = self.state.emitted_offset
        """The offset up to which the fold came, of which it did not die."""
        self._process: FoldProcess | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id of the fold, None while there is none."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Fold until `stop`. Raises FoldError when the stored state cannot be used."""
        pause = FIRST_PAUSE
        while True:
            before = self.offset
            if await self._suspect.pass_over():
                self._passed_over()
            code = await self._once()
            self.ready.clear()
            if self._stopping.is_set():
                return
            if code == BAD_STATE:
                raise FoldError("the fold cannot use its state: see the message above")
            pause = FIRST_PAUSE if self.offset > before else min(pause * 2, LONGEST_PAUSE)
            self.restarts += 1
            log.error("the fold process ended with code %s: starting it again in %.1f s", code, pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return

    def more(self) -> None:
        """Say that the journal has grown."""
        self._send(More())

    async def stop(self, deadline: float) -> None:
        """Fold what there is, keep a snapshot, and end, within so many seconds."""
        self._stopping.set()
        self._send(Stop())
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(deadline):
                await process.wait()
        except TimeoutError:
            log.warning("the fold did not end in time: it goes on from its last snapshot at the next start")
            process.kill()

    def _send(self, message: ToFold) -> None:
        if self._process is not None:
            self._process.send(message)

    async def _once(self) -> int:
        """Run one fold process to its end; gives its exit code."""
        begin = Begin(
            journal=str(self.journal.path),
            snapshot=await asyncio.to_thread(self._snapshot),
            emitted=self.state.emitted_offset,
            every=self.every,
            careful=self._reached,
        )
        process = self._process = await FoldProcess.start()
        try:
            self._send(begin)
            if self._stopping.is_set():
                self._send(Stop())
            while (message := await process.receive()) is not None:
                await self._take(message)
            return await process.wait()
        finally:
            self._process = None
            await process.close()

    def _snapshot(self) -> bytes | None:
        """Give the newest snapshot whose alerts are stored; None where the journal is to be folded from its beginning.

        A state that was restored from a backup is older than the newest snapshots: they would skip what it lacks.
        """
        newest = self.snapshots.newest(self.state.emitted_offset)
        if newest is None and self.journal.first > 0:
            raise FoldError(
                f"no snapshot is as old as {self.state.path} (offset {self.state.emitted_offset}), and the journal "
                f"begins later (offset {self.journal.first}): restore a backup of the whole data directory"
            )
        return None if newest is None else newest[1]

    async def _take(self, message: FromFold) -> None:
        match message:
            case Ready(offset, unusable):
                self.offset = max(self.offset, offset)
                self._reached = offset
                for one in unusable:
                    log.error("a rule of the stored state is not used any more: %s", one)
                self.ready.set()
            case Trying(offset):
                self._suspect.begun(offset)
            case Told():
                self._reached = message.offset
                await self._suspect.survived(message.offset)
                await self._store(message)
            case Saved(offset, snapshot):
                await self._keep(offset, snapshot)
            case Unsaved(offset, size):
                log.error("no snapshot was kept after %s: it would be of %s bytes", offset, size)

    async def _store(self, told: Told) -> None:
        """Store alerts and their deliveries in one transaction, trying until there is room: nothing is skipped."""
        pause = FIRST_PAUSE
        deliveries = self.outbox.deliveries(told.alerts)
        while True:
            try:
                await asyncio.wrap_future(self.state.emit(told.offset, told.alerts, deliveries, told.decided))
                break
            except StoreError as error:
                log.error("alerts wait, because they cannot be stored: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self._stored(told)
        if deliveries:
            self.outbox.wake()
        if self.journal.pressed:
            self._send(Save())

    def _stored(self, told: Told) -> None:
        """Pass on what is stored."""
        self.offset = told.offset
        for cluster, fingerprint, raised in told.failed:
            log.error("an event of cluster %s was passed over: %s inside redshank", cluster, raised)
            self.state.dead_letter("item", cluster, f"{raised} inside redshank", sha256=fingerprint, length=0)
        for reason in told.refused:
            log.error("rules were refused, those before go on: %s", reason)
        self._told(told)

    async def _keep(self, offset: int, snapshot: bytes) -> None:
        """Keep a snapshot, and let go of what no snapshot needs any more."""
        try:
            await asyncio.to_thread(self.snapshots.add, offset, snapshot)
        except (StoreError, OSError) as error:
            log.error("no snapshot was kept, a restart will take longer: %s", error)
        await self.make_room()

    async def make_room(self) -> None:
        """Let go of what no snapshot needs any more; where room is scarce, of all that the newest does not need."""
        if self.journal.pressed:
            self._send(Save())
        try:
            upto = await asyncio.to_thread(self._done_with)
            if upto is not None:
                await asyncio.wrap_future(self.journal.prune(upto))
        except (StoreError, OSError) as error:
            log.error("the journal stays as it is: %s", error)

    def _done_with(self) -> int | None:
        """Give the offset up to which the journal may go. The newest snapshot is read first, to be sure of it."""
        if not self.journal.pressed:
            return self.snapshots.oldest()
        newest = self.snapshots.newest(self.state.emitted_offset)
        return None if newest is None else newest[0]
