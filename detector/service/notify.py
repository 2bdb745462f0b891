"""Telling the service manager how we are: sd_notify(3), one datagram a message."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(*assignments: str) -> None:
    """Send assignments such as ``READY=1``; nothing happens where no manager listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect("\0" + address[1:] if address[0] == "@" else address)
            sock.sendall("\n".join(assignments).encode())
    except OSError as error:
        log.warning("the service manager does not listen: %s", error)


async def alive() -> None:
    """Tell the manager again and again that the event loop runs; never ends."""
    interval = watchdog_interval()
    while interval is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)
    await asyncio.Event().wait()


def watchdog_interval() -> float | None:
    """Give the seconds between two ``WATCHDOG=1``: half of what the manager allows; None when it does not watch."""
    try:
        allowed = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return allowed / 2e6 if allowed > 0 and ours else None
