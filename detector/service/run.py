"""``redshank serve``: signals, the event loop, and a stop that ends in time whatever hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

from detector.errors import StoreError
from detector.service.configuration import Configuration
from detector.service.daemon import Daemon, Signals
from detector.service.logs import set_up
from detector.service.memory import settle
from detector.service.standby import Standby

GRACE = 2.0
"""Seconds beyond ``stop_within`` after which the process ends wherever it is: a disk that hangs keeps its threads."""

log = logging.getLogger(__name__)


def run(file: Path | None, flags: dict[str, Any], *, standby: bool = False) -> int:
    """Run the daemon until it is told to stop; gives the exit code. Raises RedshankError when it cannot start.

    With ``standby`` it waits until no other redshank has the data directory.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be obeyed, it must not end us
    configuration = Configuration(file, flags)
    set_up(configuration.settings.log)
    settle()
    asyncio.run(_run(configuration, standby=standby))
    return 0


async def _run(configuration: Configuration, *, standby: bool) -> None:
    signals, loop = Signals(asyncio.Event(), asyncio.Event()), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, signals, configuration.settings.stop_within.total_seconds())
    loop.add_signal_handler(signal.SIGHUP, signals.changed.set)
    daemon = await Standby(configuration, signals).wait() if standby else Daemon(configuration, signals)
    if daemon is not None:
        await daemon.run()


def _stop(signals: Signals, within: float) -> None:
    signals.stopping.set()
    last = threading.Timer(within + GRACE, _give_up, (within,))
    last.daemon = True
    last.start()


def _give_up(within: float) -> None:
    log.error("not stopped within %g s, ending as it is: the next start goes on where this one was", within)
    os._exit(StoreError.exit_code)
