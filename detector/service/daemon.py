"""The daemon: puts the parts together, starts and stops them in order, and reloads what can change while it runs.

``webhook → intake → journal → fold process → state (alerts, outbox) → sinks``. Whatever is accepted is on the disk, and
whatever is on the disk is folded, stored and sent, by this process or by the next.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from detector.config import Settings, load
from detector.entries import control_body
from detector.errors import RedshankError, StoreError
from detector.event import SECOND
from detector.intake import Intake
from detector.metrics import Metrics
from detector.outbox import Outbox
from detector.record import Control, Rules
from detector.service.backend import DaemonBackend
from detector.service.client import SOCKET
from detector.service.folding import Folding
from detector.service.logs import set_up
from detector.service.memory import settle
from detector.service.notify import notify, watchdog_interval
from detector.service.observe import Observe
from detector.service.reload import RULES, digest_of, rules_of, sinks_of, stamp
from detector.sinks import AnySink
from detector.sinks.base import SystemClock
from detector.sources.webhook import Answer, Refusal, Webhook
from detector.store.alerts import AT_ONCE, Wanted
from detector.store.directory import Store
from detector.store.entry import Kind
from detector.version import __version__
from detector.web import Web

log = logging.getLogger(__name__)

TICK = 30.0
"""Seconds after which the log is told how late it is."""
WATCH = 5.0
"""Seconds between two looks at the files of settings and rules."""
TIDY = 600.0
"""Seconds between two rounds of letting old alerts go."""
MOST_OPEN = 100_000


def run(file: Path | None, flags: dict[str, Any]) -> int:
    """Run the daemon until it is told to stop; gives the exit code. Raises RedshankError when it cannot start."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be obeyed, it must not end us
    settings = load(file, flags)
    set_up(settings.log)
    rules = rules_of(settings.rules)
    settle()
    asyncio.run(_run(settings, rules, file, flags))
    return 0


async def _run(settings: Settings, rules: Rules, file: Path | None, flags: dict[str, Any]) -> None:
    daemon = Daemon(settings, rules, file, flags)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stopping.set)
    loop.add_signal_handler(signal.SIGHUP, daemon.changed.set)
    await daemon.run()


class Daemon:
    """Everything that runs. It is made inside the running event loop; `run` starts it and ends it."""

    def __init__(self, settings: Settings, rules: Rules, file: Path | None, flags: dict[str, Any]) -> None:
        self.settings, self.rules, self.file, self.flags = settings, rules, file, flags
        self.stopping, self.changed = asyncio.Event(), asyncio.Event()
        self.clock, self.metrics = SystemClock(), Metrics(__version__)
        self.store = Store(
            settings.data_dir,
            journal_limit=settings.store.journal_limit,
            journal_keep=_micros(settings.store.journal_keep.total_seconds()),
            alerts_keep=_micros(settings.store.alerts_keep.total_seconds()),
        )
        self.observe = Observe(self.metrics, self.store, self.clock)
        self.outbox = Outbox(self.store.state, self.clock, self.observe.delivered)
        every = settings.store.snapshot_every.total_seconds()
        self.folding = Folding(
            self.store, self.outbox, every=every, told=self.observe.told, passed_over=self.observe.passed_over
        )
        self.intake = Intake(self.store.journal, self.store.state, self.clock, self._journaled)
        self.webhook = Webhook(settings.webhook, self._accept, observer=self.metrics.intake, refused=self._refused)
        self.backend = DaemonBackend(self.store, self.folding, self.outbox, self.observe, self.webhook, self.control)
        self.web = Web(settings.web, self.backend, self.metrics.registry)
        self._stamp = stamp(file, settings)
        self._full = False
        """A batch was put off since the last tick."""

    async def run(self) -> None:
        """Start, go on until `stopping` is set, and stop. Raises what a part cannot go on for."""
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._start()
            tasks = [asyncio.create_task(one) for one in self._loops()]
            stop = asyncio.create_task(self.stopping.wait())
            done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            for task in done - {stop}:
                task.result()
        finally:
            notify("STOPPING=1")
            await self._stop(tasks)

    async def _start(self) -> None:
        if self.store.created:
            log.info("%s is new: nothing was stored there before", self.settings.data_dir)
        await self._use_sinks(self.settings.sinks)
        await self._use_rules(self.rules)
        await self.web.start(self.settings.data_dir / SOCKET)
        await self.webhook.start()
        self.metrics.ready.set_function(lambda: float(not self.backend.ready()))
        notify("READY=1", f"STATUS=listening on {self.settings.webhook.listen}")
        self._greet()

    def _greet(self) -> None:
        log.info("redshank %s takes audit events at %s/audit/CLUSTER", __version__, self.webhook.url)
        log.info("state: %s; health and metrics: http://%s", self.settings.data_dir, self.web.addresses[-1])
        log.info("sinks: %s", sinks_of(self.settings))
        log.info("to point a kube-apiserver at it: redshank init kube-apiserver")

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        return [self.folding.run(), self._tick(), self._watch(), self._tidy(), self._alive()]

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop in the order of the way: what was accepted is folded, stored, and sent as far as time allows."""
        self.backend.stopping = True
        share = self.settings.stop_within.total_seconds() / 5
        folding, loops = tasks[:1], tasks[1:]
        for task in loops:
            task.cancel()
        await self.webhook.stop(share)
        self.intake.close()
        if folding:
            await self.folding.stop(share)
            await asyncio.wait(folding, timeout=share)
        for task in folding:
            task.cancel()  # what the disk would not take is folded again at the next start
        await asyncio.gather(*folding, *loops, return_exceptions=True)
        await self.outbox.close(share)
        await self.web.stop(share)
        self.store.close()
        log.info("stopped")

    async def _accept(self, cluster: str, body: bytes, peer: str) -> Answer:
        started = time.monotonic()
        answer = await self.intake.accept(cluster, body, peer)
        self._full |= answer.retry_after is not None
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

    async def _use_sinks(self, sinks: Sequence[AnySink]) -> None:
        opened = await asyncio.to_thread(self.store.state.alerts, Wanted(status="open"), MOST_OPEN)
        await self.outbox.configure(sinks, [one.alert for one in opened])

    async def _use_rules(self, rules: Rules) -> None:
        """Tell the journal of the rules, unless it was told of these last."""
        digest = digest_of(rules)
        if self.store.state.meta(RULES) != digest:
            await self.control(rules)
            await asyncio.wrap_future(self.store.state.set_meta(RULES, digest))

    async def _tick(self) -> None:
        """Tell the log how late it is: in clusters that nothing comes from, alerts close, and windows end."""
        while True:
            await asyncio.sleep(TICK)
            try:
                tick = self.store.journal.append(Kind.tick, "", b"", received_at=self.clock.now())
                await asyncio.wrap_future(tick)
            except StoreError as error:
                log.warning("no tick: %s", error)
                self._full = True
            self.folding.more()
            if self._full:
                self._full = False
                await self._make_room()

    async def _make_room(self) -> None:
        """Let go of what is folded: no snapshot is due while nothing can be journaled, and none would say so."""
        newest = max(await asyncio.to_thread(self.store.snapshots.offsets), default=-1)
        try:
            await asyncio.wrap_future(self.store.journal.prune(newest))
        except StoreError as error:
            log.warning("the journal stays as it is: %s", error)

    async def _watch(self) -> None:
        """Reload when files change, or when somebody says so."""
        while True:
            try:
                async with asyncio.timeout(WATCH):
                    await self.changed.wait()
            except TimeoutError:
                now = await asyncio.to_thread(stamp, self.file, self.settings)
                if now == self._stamp:
                    continue
                self._stamp = now
            self.changed.clear()
            await self._reload()

    async def _reload(self) -> None:
        """Take over new settings and rules, all or none of them; what is wrong is refused, and the old ones go on."""
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            settings = await asyncio.to_thread(load, self.file, self.flags)
            rules = await asyncio.to_thread(rules_of, settings.rules)
            await self._take_over(settings, rules)
        except Exception as error:  # whatever is wrong with new files, it must not end what runs
            self.metrics.reloads.labels("refused").inc()
            log.error("the new configuration is refused, the old one goes on: %s", error)
        else:
            if settings.data_dir != self.settings.data_dir or settings.store != self.settings.store:
                log.warning("data_dir and store change at the next start only")
            self.settings, self.rules = settings, rules
            self._stamp = await asyncio.to_thread(stamp, self.file, settings)
            set_up(settings.log)
            self.metrics.reloads.labels("taken").inc()
            log.info("the configuration was read again: %d sinks", len(settings.sinks))
        notify("READY=1")

    async def _take_over(self, settings: Settings, rules: Rules) -> None:
        """Use other settings and rules. When a part refuses its own, those before it go back to what they had."""
        try:
            self.webhook.reload(settings.webhook)
            self.web.reload(settings.web)
            await self._use_rules(rules)
        except RedshankError:
            with suppress(RedshankError):
                self.webhook.reload(self.settings.webhook)
            with suppress(RedshankError):
                self.web.reload(self.settings.web)
            raise
        if settings.sinks != self.settings.sinks:
            await self._use_sinks(settings.sinks)

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

    async def _alive(self) -> None:
        """Tell the service manager that the event loop runs."""
        interval = watchdog_interval()
        while interval is not None:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval)
        await asyncio.Event().wait()


def _micros(seconds: float) -> int:
    return int(seconds * SECOND)
