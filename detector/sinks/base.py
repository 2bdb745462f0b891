"""Sink: what every destination of alerts can do, and how it says that it could not."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from detector.finding import Alert

Mode = Literal["upsert", "append"]
"""``upsert``: a revision replaces the one before (by the alert's id). ``append``: each revision is one more message."""


class Failure(NamedTuple):
    """One alert of a batch that was not delivered: its place in the batch, why, and whether trying again is useless."""

    place: int
    reason: str
    permanent: bool


class RetryError(Exception):
    """Nothing of the batch was delivered for certain; send it again, at the earliest ``after`` seconds from now."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after = reason, after


class RefusedError(Exception):
    """The destination refuses the batch as it is; the outbox sends its halves, to find the alert it refuses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Clock(Protocol):
    """Where time comes from, so that tests need not wait."""

    def now(self) -> int:
        """Give the time: microseconds since 1970."""

    def monotonic(self) -> float:
        """Give seconds since some moment; they never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The time of this machine."""

    def now(self) -> int:
        """Give the time: microseconds since 1970."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Give seconds since some moment; they never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Sink(ABC):
    """A destination. One is used by one outbox worker, which may call `send` several times at once."""

    every: float | None = None
    """Seconds between calls of `again`; None where nothing is ever repeated."""

    @abstractmethod
    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Deliver alerts, no two revisions of one alert among them; gives those not delivered.

        Raises RetryError or RefusedError for the batch as a whole. Any other exception is a fault of ours, and is
        treated as if each alert had failed for now.
        """

    def resume(self, alerts: Sequence[Alert]) -> None:
        """Hear, after a start, of the alerts that are open: those a sink repeats until they close."""
        return

    async def again(self) -> None:
        """Repeat what the destination would otherwise forget. Raises RetryError or RefusedError."""
        return

    async def close(self) -> None:
        """Let go of connections and files. What was not delivered stays in the outbox."""
        return
