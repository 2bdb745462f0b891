"""The daemon: puts the parts together, starts and stops them in order, and reloads what can change while it runs.

``webhook → intake → journal → fold process → state (alerts, outbox) → sinks``. Whatever is accepted is on the disk, and
whatever is on the disk is folded, stored and sent, by this process or by the next.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, NamedTuple

from detector.entries import control_body
from detector.errors import StoreError
from detector.event import SECOND
from detector.intake import Intake
from detector.metrics import Metrics
from detector.outbox import Outbox
from detector.record import Control
from detector.service.backend import DaemonBackend
from detector.service.client import SOCKET
from detector.service.configuration import Configuration, sinks_of
from detector.service.folding import Folding
from detector.service.notify import alive, notify
from detector.service.observe import Observe
from detector.service.readings import Readings
from detector.service.reload import Reload
from detector.sinks.base import SystemClock
from detector.sources.webhook import Answer, Refusal, Webhook
from detector.store.alerts import AT_ONCE
from detector.store.directory import Store
from detector.store.entry import Kind
from detector.version import __version__
from detector.web import Api, Web

log = logging.getLogger(__name__)

TICK = 30.0
"""Seconds after which the log is told how late it is."""
TIDY = 600.0
"""Seconds between two rounds of letting old alerts go."""
ROOM = 0.5
"""Seconds between two tries to make room for batches that were put off."""
SOON = 0.1
"""Seconds that every step of a stop has, however late it is."""


class Signals(NamedTuple):
    """What the system asks of us. Made inside the running event loop."""

    stopping: asyncio.Event
    changed: asyncio.Event
    """Files are to be read again."""


class Daemon:
    """Everything that runs. It is made inside the running event loop; `run` starts it and ends it.

    :raises InUseError: another process has the data directory; nothing else has been touched then.
    """

    def __init__(self, configuration: Configuration, signals: Signals) -> None:
        settings, self.signals = configuration.settings, signals
        self.store = Store(
            settings.data_dir,
            journal_limit=settings.store.journal_limit,
            journal_keep=_micros(settings.store.journal_keep.total_seconds()),
            alerts_keep=_micros(settings.store.alerts_keep.total_seconds()),
        )
        self.clock, self.metrics = SystemClock(), Metrics(__version__)
        self.readings = Readings(self.store)
        self.observe = Observe(self.metrics, self.store, self.clock)
        self.outbox = Outbox(self.store.state, self.clock, self.observe.delivered)
        every = settings.store.snapshot_every.total_seconds()
        self.folding = Folding(
            self.store, self.outbox, every=every, told=self.observe.told, passed_over=self.observe.passed_over
        )
        self.intake = Intake(
            self.store.journal,
            self.store.state,
            self.clock,
            self._journaled,
            lambda: self.reload.configuration.settings.redaction.made,
        )
        self.webhook = Webhook(settings.webhook, self._accept, observer=self.metrics.intake, refused=self._refused)
        self.backend = DaemonBackend(
            self.store, self.folding, self.outbox, self.observe, self.webhook, self.readings, self.control
        )
        self.web = Web(settings.web, self.backend, self.metrics.registry, Api(self.backend).routes())
        self.reload = Reload(
            configuration, self.webhook, self.web, self.outbox, self.store.state, self.control, self.metrics
        )
        self._full = asyncio.Event()
        """A batch was put off."""

    async def run(self) -> None:
        """Start, go on until `stopping` is set, and stop. Raises what a part cannot go on for."""
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._start()
            tasks = [asyncio.create_task(one) for one in self._loops()]
            stop = asyncio.create_task(self.signals.stopping.wait())
            done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            for task in done - {stop}:
                task.result()
        finally:
            notify("STOPPING=1")
            await self._stop(tasks)

    async def _start(self) -> None:
        settings = self.reload.configuration.settings
        if self.store.created:
            log.info("%s is new: nothing was stored there before", settings.data_dir)
        self.observe.recall(settings.webhook.clusters)
        await self.reload.begin()
        await self.web.start(settings.data_dir / SOCKET)
        await self.webhook.start()
        self.metrics.ready.set_function(lambda: float(not self.backend.ready()))
        notify("READY=1", f"STATUS=listening on {settings.webhook.listen}")
        log.info("redshank %s takes audit events at %s/audit/CLUSTER", __version__, _shown(self.webhook.url))
        log.info("state: %s; health and metrics: %s", settings.data_dir, _shown(self.web.url))
        log.info("sinks: %s", sinks_of(settings))
        log.info("to point a kube-apiserver at it: redshank init kube-apiserver")

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        watch = self.reload.watch(self.signals.changed)
        return [self.folding.run(), self._tick(), self._make_room(), watch, self._tidy(), alive()]

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop in the order of the way: what was accepted is folded, stored, and sent as far as time allows."""
        self.backend.stopping = True
        end = time.monotonic() + self.reload.configuration.settings.stop_within.total_seconds()

        def share(part: float) -> float:
            return max(SOON, (end - time.monotonic()) * part)

        folding, loops = tasks[:1], tasks[1:]
        for task in loops:
            task.cancel()
        await self.webhook.stop(share(1 / 5))
        self.intake.close()
        if folding:
            await self.folding.stop(share(1 / 3))
            await asyncio.wait(folding, timeout=share(1 / 4))
        for task in folding:
            task.cancel()  # what the disk would not take is folded again at the next start
        await asyncio.gather(*folding, *loops, return_exceptions=True)
        await self.outbox.close(share(1 / 2))
        await self.web.stop(share(1 / 4))
        self.observe.remember()
        with suppress(TimeoutError):
            async with asyncio.timeout(share(1 / 4)):
                await self.readings.close()
        await asyncio.to_thread(self.store.close, share(3 / 4))
        log.info("stopped")

    async def _accept(self, cluster: str, body: bytes, peer: str) -> Answer:
        started = time.monotonic()
        answer = await self.intake.accept(cluster, body, peer)
        if answer.retry_after is not None:
            self._full.set()
        self.observe.accepted(answer, time.monotonic() - started)
        return answer

    def _refused(self, refusal: Refusal) -> None:
        self.intake.refused(refusal)
        self.observe.buried()

    def _journaled(self, *told: Any) -> None:
        self.observe.journaled(*told)
        self.folding.more()

    async def control(self, control: Control) -> None:
        """Put a control into the journal; it is on the disk when this returns. Raises StoreError."""
        body = control_body(control)
        appended = self.store.journal.append(Kind.control, "", body, received_at=self.clock.now())
        await asyncio.wrap_future(appended)
        self.folding.more()

    async def _tick(self) -> None:
        """Tell the log how late it is: in clusters that nothing comes from, alerts close, and windows end."""
        while True:
            await asyncio.sleep(TICK)
            try:
                tick = self.store.journal.append(Kind.tick, "", b"", received_at=self.clock.now())
                await asyncio.wrap_future(tick)
            except StoreError as error:
                log.warning("no tick: %s", error)
                self._full.set()
            self.folding.more()
            self.observe.remember()

    async def _make_room(self) -> None:
        """Let go of what is folded, as soon as a batch was put off for want of room."""
        while True:
            await self._full.wait()
            self._full.clear()
            await self.folding.make_room()
            await asyncio.sleep(ROOM)

    async def _tidy(self) -> None:
        """Let old alerts go, and give up what waited too long for sinks that are gone."""
        while True:
            await asyncio.sleep(TIDY)
            try:
                while await asyncio.wrap_future(self.store.state.expire()) >= AT_ONCE:
                    pass  # so many at a time, that others write in between
                await self.outbox.expire()
            except StoreError as error:
                log.warning("what is old stays: %s", error)


def _micros(seconds: float) -> int:
    return int(seconds * SECOND)


def _shown(url: str) -> str:
    """Give a URL for others: what listens on every address has the name of this machine."""
    scheme, _, where = url.partition("://")
    host, _, port = where.rpartition(":")
    with suppress(ValueError):
        if not host or ip_address(host.strip("[]")).is_unspecified:
            host = socket.gethostname()
    return f"{scheme}://{host}:{port}"
