"""Recognising an event that was seen before, by everything that makes it this event (law 2)."""

from __future__ import annotations

from typing import Any

from detector.event import Event

GENERATION = 16_384
"""Events in one of the two generations of the window: twice this many at most are remembered."""


class Duplicates:
    """The window of events seen lately, as their digests."""

    def __init__(self) -> None:
        self.recent: set[bytes] = set()
        self.before: set[bytes] = set()

    def seen(self, event: Event) -> bool:
        """Tell whether an event was seen before, and remember it."""
        digest, recent = event.digest(), self.recent
        if digest in recent or digest in self.before:
            return True
        recent.add(digest)
        if len(recent) >= GENERATION:
            self.before, self.recent = recent, set()
        return False

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"recent": sorted(self.recent), "before": sorted(self.before)}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.recent, self.before = set(state["recent"]), set(state["before"])
