"""Evidence: weak signals of one actor, credential or source add up, and fade."""

from __future__ import annotations

import math
from typing import Any

from detector.bounded import BoundedMap
from detector.event import SECOND

SIZE = 16_384
_LEAST = 12.0
"""Bits below which an event is everyday life."""
_WHOLE, _WORTH = 20.0, 2.0
"""So many bits of evidence lift what comes next by `_WORTH`, three times as many by twice that."""


class Evidence:
    """Bits beyond the everyday, by whoever showed them, in a sum that halves every ``half_life`` seconds."""

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self.sums: BoundedMap[tuple[float, int]] = BoundedMap(SIZE)

    def weigh(self, names: tuple[str, ...], bits: float, time: int) -> float:
        """Give what came before is worth, in bits, and take in an event of so many bits."""
        most, more = 0.0, bits - _LEAST
        for name in names:
            before = self.sums.get(name)
            if before is not None:
                left = before[0] * 0.5 ** (max(0, time - before[1]) / (self.half_life * SECOND))
                most = max(most, left)
            else:
                left = 0.0
            if more > 0:
                self.sums.put(name, (left + more, time))
        return _WORTH * math.log2(1 + most / _WHOLE) if most > 1 else 0.0

    def dump(self) -> dict[str, Any]:
        """Give the state as plain types."""
        return self.sums.dump()

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.sums.load(state, lambda pair: (pair[0], pair[1]))
