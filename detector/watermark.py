"""Time as the fold sees it (law 8): the time an event counts at, and how far a cluster's log has come."""

from __future__ import annotations

from typing import Any

from detector.counters import Counters
from detector.event import SECOND, Event

SKEW = 60 * SECOND
"""How far an event's own time may lie after its arrival."""
LATENESS = 300 * SECOND
"""How far behind the newest event an event may be before it is counted as late."""
FORWARD, BACKWARD = 7 * 86_400 * SECOND, 3600 * SECOND
"""Steps of time that one archived event alone is not believed."""
BELIEVED = 3
"""So many events in a row must agree on a jump before it is believed."""


class Watermark:
    """The newest believed time of one cluster, in microseconds since 1970; never the wall clock."""

    def __init__(self, counters: Counters) -> None:
        self.now = 0
        self.counters = counters
        self.doubted: list[int] = []
        """Times that jumped, waiting for others to agree."""

    def reach(self, received_at: int) -> None:
        """Nothing happened until then: the clock of whoever receives says so."""
        self._arrived(received_at)
        self.now = max(self.now, received_at)

    def time_of(self, event: Event, received_at: int | None) -> int:
        """Give the time an event counts at, and move on. ``received_at`` is None for archived events."""
        time = event.time
        if time is None:
            self.counters.undated += 1
            time = self.now if received_at is None else received_at
        elif received_at is not None:
            time = min(time, received_at + SKEW)
            if received_at < self.now:
                self._arrived(received_at)
        elif self.now and not -BACKWARD <= time - self.now <= FORWARD:
            return self._doubt(time)
        if self.doubted:
            self.doubted.clear()
        if time > self.now:
            self.now = time
        elif time < self.now - LATENESS:
            self.counters.late += 1
        return time

    def _arrived(self, received_at: int) -> None:
        """What was received in the future was received by a clock that has been set right since."""
        if received_at < self.now - SKEW - LATENESS:
            self.now = received_at

    def _doubt(self, time: int) -> int:
        """Archived events have no time of arrival: one that jumps is believed only when others follow it."""
        if self.doubted and not self._agrees(time, self.doubted[-1]):
            self.doubted.clear()
        self.doubted.append(time)
        if len(self.doubted) < BELIEVED:
            self.counters.clamped += time > self.now
            self.counters.late += time < self.now
            return min(time, self.now)
        self.now = max(self.doubted)
        self.doubted.clear()
        return time

    def _agrees(self, time: int, last: int) -> bool:
        """Tell whether a jump goes where the one before it went: on from there, or near."""
        same_way = (time > self.now) == (last > self.now)
        return same_way and (abs(time - last) <= FORWARD or self.now < last < time)

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"now": self.now, "doubted": self.doubted}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.now, self.doubted = state["now"], state["doubted"]
