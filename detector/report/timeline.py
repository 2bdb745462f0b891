"""Alerts over time, in a fixed number of slots whatever the span."""

from __future__ import annotations

from detector.event import SECOND
from detector.finding import Level

SLOTS = 512
"""Slots held; when there are more, they are joined two by two."""


class Timeline:
    """Counts by slot of time. A slot is a second wide at first; its width doubles as the span grows."""

    def __init__(self) -> None:
        self.width = SECOND
        self._slots: dict[int, tuple[int, Level]] = {}

    def add(self, time: int, level: Level) -> None:
        """Count one alert."""
        self._put(self._slots, time // self.width, 1, level)
        while len(self._slots) > SLOTS:
            self._widen()

    def _widen(self) -> None:
        self.width *= 2
        wider: dict[int, tuple[int, Level]] = {}
        for slot, (count, level) in self._slots.items():
            self._put(wider, slot // 2, count, level)
        self._slots = wider

    @staticmethod
    def _put(slots: dict[int, tuple[int, Level]], slot: int, count: int, level: Level) -> None:
        known, highest = slots.get(slot, (0, level))
        slots[slot] = known + count, max(highest, level)

    def bars(self, start: int, end: int, columns: int) -> list[tuple[int, Level]]:
        """Spread the counts over ``columns`` equal parts of ``start`` to ``end``, each with its highest level."""
        bars = [(0, Level.informational)] * columns
        span = max(end - start, 1)
        for slot, (count, level) in self._slots.items():
            index = (slot * self.width + self.width // 2 - start) * columns // span
            index = min(max(index, 0), columns - 1)
            known, highest = bars[index]
            bars[index] = known + count, max(highest, level)
        return bars
