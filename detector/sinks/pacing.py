"""When to send: back-off after failures, and the rate limit."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from detector.sinks.base import Clock

BASE = 1.0
"""Seconds: the most that is waited after the first failure."""
CAP = 300.0
"""Seconds: the most that is waited after any number of failures."""
PATIENCE = 3600.0
"""Seconds: the longest wait a destination may ask for."""
_DOUBLINGS = 16

Jitter = Callable[[], float]
"""Gives numbers from 0 to 1, all equally likely."""

chance: Jitter = secrets.SystemRandom().random


def backoff(failures: int, after: float | None = None, jitter: Jitter = chance) -> float:
    """Give the seconds to wait after so many failures in a row, and at least ``after`` if the destination said so.

    "Full jitter": any time up to ``min(CAP, BASE * 2 ** (failures - 1))``, so that senders that failed together do not
    come back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    ceiling = min(CAP, BASE * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS))
    return max(jitter() * ceiling, min(max(after or 0.0, 0.0), PATIENCE))


class RateLimit:
    """So many messages a second, evenly spaced."""

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._free_at = clock.monotonic()

    async def take(self, messages: int) -> None:
        """Wait until so many messages may be sent."""
        if self._rate is None:
            return
        now = self._clock.monotonic()
        wait, self._free_at = self._free_at - now, max(self._free_at, now) + messages / self._rate
        if wait > 0:
            await self._clock.sleep(wait)
