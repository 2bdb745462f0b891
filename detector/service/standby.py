"""Waiting for a data directory that another redshank has, to go on in its place when that is gone.

The lock of the directory decides (`detector.store.directory.Lock`). Whoever waits has everything read and imported, and
follows its files: a takeover is little more than opening the databases. Meanwhile it is alive and not ready.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from detector.errors import ConfigError, InUseError, RedshankError
from detector.metrics import Metrics
from detector.service.configuration import Configuration
from detector.service.daemon import Daemon, Signals
from detector.service.notify import alive, notify
from detector.service.reload import WATCH
from detector.version import __version__
from detector.web import Web

TRY = 0.1
"""Seconds between two tries to get the lock."""

log = logging.getLogger(__name__)


class Standby:
    """The one that waits."""

    def __init__(self, configuration: Configuration, signals: Signals) -> None:
        self.configuration, self._signals = configuration, signals

    def ready(self) -> str:
        """Say why it takes no batches."""
        return "standing by, another redshank is active"

    async def measure(self) -> None:
        """There is nothing to measure."""

    async def wait(self) -> Daemon | None:
        """Give a daemon that has the directory; None when told to stop before. Raises what a start would."""
        try:
            return Daemon(self.configuration, self._signals)
        except InUseError as error:
            log.info("standing by: %s", error)
        beside = [asyncio.create_task(one) for one in (alive(), self._follow())]
        web = await self._pages()
        notify("READY=1", "STATUS=standing by")
        try:
            return await self._daemon()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await web.stop(TRY)

    async def _daemon(self) -> Daemon | None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TRY):
                    await self._signals.stopping.wait()
                    return None
            with suppress(InUseError):
                daemon = Daemon(self.configuration, self._signals)
                log.info("the other redshank is gone: taking over")
                return daemon

    async def _pages(self) -> Web:
        """Answer probes, unless the other one has the address because it is on this machine."""
        web = Web(self.configuration.settings.web, self, Metrics(__version__).registry)
        try:
            await web.start()
        except ConfigError as error:
            log.warning("no health and metrics while standing by: %s", error)
        return web

    async def _follow(self) -> None:
        """Keep up with the files, as the active one does."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH):
                    await self._signals.changed.wait()
            self._signals.changed.clear()
            try:
                if await asyncio.to_thread(self.configuration.changed):
                    self.configuration = await asyncio.to_thread(self.configuration.again)
            except RedshankError as error:
                log.error("the new configuration is refused, the old one stays: %s", error)
