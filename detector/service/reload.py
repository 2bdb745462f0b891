"""Going on with other settings and rules: what is wrong is refused as a whole, and what runs goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from detector.errors import RedshankError
from detector.metrics import Metrics
from detector.outbox import Outbox
from detector.record import Control, Rules
from detector.service.configuration import RULES, Configuration, digest_of
from detector.service.logs import set_up
from detector.service.notify import notify
from detector.sinks import AnySink
from detector.sources.webhook import Webhook
from detector.store.alerts import Wanted
from detector.store.state import State
from detector.web import Web

WATCH = 5.0
"""Seconds between two looks at the files of settings and rules."""
MOST_OPEN = 100_000

log = logging.getLogger(__name__)


class Reload:
    """The configuration in use, and the parts that can change while they run."""

    def __init__(
        self,
        configuration: Configuration,
        webhook: Webhook,
        web: Web,
        outbox: Outbox,
        state: State,
        control: Callable[[Control], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        self.configuration = configuration
        self._webhook, self._web, self._outbox, self._state = webhook, web, outbox, state
        self._control, self._metrics = control, metrics

    async def begin(self) -> None:
        """Have the sinks and the rules that the configuration names."""
        await self._use_sinks(self.configuration.settings.sinks)
        await self._use_rules(self.configuration.rules)

    async def watch(self, asked: asyncio.Event) -> None:
        """Reload when files change, or when somebody asks for it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH):
                    await asked.wait()
            changed = await asyncio.to_thread(self.configuration.changed)
            if changed or asked.is_set():
                asked.clear()
                await self.take()

    async def take(self) -> None:
        """Take over new settings and rules, all or none of them."""
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        before = self.configuration.settings
        try:
            fresh = await asyncio.to_thread(self.configuration.again)
            await self._take_over(fresh)
        except Exception as error:  # whatever is wrong with new files, it must not end what runs
            self._metrics.reloads.labels("refused").inc()
            log.error("the new configuration is refused, the old one goes on: %s", error)
        else:
            self.configuration, settings = fresh, fresh.settings
            if settings.data_dir != before.data_dir or settings.store != before.store:
                log.warning("data_dir and store change at the next start only")
            set_up(settings.log)
            self._metrics.reloads.labels("taken").inc()
            log.info("the configuration was read again: %d sinks", len(settings.sinks))
        notify("READY=1")

    async def _take_over(self, fresh: Configuration) -> None:
        """Use another configuration. When a part refuses its own, those before it go back to what they had."""
        before, settings = self.configuration.settings, fresh.settings
        try:
            self._webhook.reload(settings.webhook)
            self._web.reload(settings.web)
            await self._use_rules(fresh.rules)
        except RedshankError:
            with suppress(RedshankError):
                self._webhook.reload(before.webhook)
            with suppress(RedshankError):
                self._web.reload(before.web)
            raise
        if settings.sinks != before.sinks:
            await self._use_sinks(settings.sinks)

    async def _use_sinks(self, sinks: Sequence[AnySink]) -> None:
        opened = await asyncio.to_thread(self._state.alerts, Wanted(status="open"), MOST_OPEN)
        await self._outbox.configure(sinks, [one.alert for one in opened])

    async def _use_rules(self, rules: Rules) -> None:
        """Tell the journal of the rules, unless it was told of these last."""
        digest = digest_of(rules)
        if await asyncio.to_thread(self._state.meta, RULES) != digest:
            await self._control(rules)
            await asyncio.wrap_future(self._state.set_meta(RULES, digest))
