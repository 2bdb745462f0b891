"""How much: events and distinct targets per bucket of time, against what the same actor, or its action, had before.

Only buckets in which something happened count; their logarithms are averaged with weights that forget, so that one
burst is told and a new habit is learnt.
"""

from __future__ import annotations

import math
from typing import Any

from detector.bounded import BoundedMap

USUAL = 1.5
"""Standard deviations above the mean that are nobody's news."""
_FORGETTING = 0.05
_VARIANCE = 0.09
"""What is added to every variance of log(1 + events): thirty per cent more is nobody's news either."""
MOST_TARGETS, MOST_CURRENT = 512, 65_536
SIZE = 131_072

Key = tuple[str, ...]
Target = tuple[str, ...]
History = tuple[int, float, float, float, float]
"""Buckets; mean and variance of log(1 + events); mean and variance of log(1 + targets)."""
_NONE: History = (0, 0.0, 0.0, 0.0, 0.0)


class Current:
    """A key in the bucket that is open."""

    __slots__ = ("buckets", "count", "history", "least", "narrowest", "targets")

    def __init__(self, history: History) -> None:
        self.history = history
        self.count = 0
        self.targets: set[Target] = set()
        self.buckets, mean, variance, breadth, spread = history
        # Fewer events and targets than these deviate by less than USUAL: most of the time nothing is worked out.
        self.least = self.narrowest = math.inf
        if self.buckets:
            self.least = math.exp(mean + USUAL * self._deviation(variance)) - 1e-6
            self.narrowest = math.exp(breadth + USUAL * self._deviation(spread)) - 1e-6

    def _deviation(self, variance: float) -> float:
        return math.sqrt(variance + _VARIANCE + 0.25 / (self.buckets + 1))

    def deviation(self, target: Target) -> float:
        """Give how many standard deviations the bucket is above the usual with one more event, if more than `USUAL`."""
        events, targets = self.count + 2, len(self.targets) + 2
        if events < self.least and targets < self.narrowest:
            return 0.0
        _, mean, variance, breadth, spread = self.history
        many = (math.log(events) - mean) / self._deviation(variance)
        targets -= target in self.targets
        wide = (math.log(targets) - breadth) / self._deviation(spread)
        return many if many > wide else wide

    def add(self, target: Target) -> None:
        """Take in one event."""
        self.count += 1
        if len(self.targets) < MOST_TARGETS:
            self.targets.add(target)


class Volumes:
    """Volume and breadth by key; a key is an actor, or an actor and what it does."""

    def __init__(self) -> None:
        self.history: BoundedMap[History] = BoundedMap(SIZE)
        self.current: dict[Key, Current] = {}

    def look(self, key: Key) -> Current:
        """Give a key's bucket; a new one is nobody's until it is opened."""
        return self.current.get(key) or Current(self.history.get(key) or _NONE)

    def open(self, key: Key) -> Current:
        """Give a key's bucket to add to; beyond the bound it is kept nowhere."""
        now = self.current.get(key)
        if now is None:
            now = Current(self.history.get(key) or _NONE)
            if len(self.current) < MOST_CURRENT:
                self.current[key] = now
        return now

    def turn(self) -> None:
        """Close the bucket: what was in it becomes history."""
        for key, now in self.current.items():
            self.history.put(key, _next(now.history, math.log1p(now.count), math.log1p(len(now.targets))))
        self.current = {}

    def dump(self) -> dict[str, Any]:
        """Give the state as plain types."""
        current = [(key, now.count, sorted(now.targets), now.history) for key, now in self.current.items()]
        return {"history": self.history.dump(), "current": current}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.history.load(state["history"], _history)
        self.current = {}
        for key, count, targets, history in state["current"]:
            now = self.current[tuple(key)] = Current(_history(history))
            now.count, now.targets = count, {tuple(target) for target in targets}


def _history(state: list[Any]) -> History:
    buckets, mean, variance, breadth, spread = state
    return buckets, mean, variance, breadth, spread


def _next(history: History, many: float, wide: float) -> History:
    buckets, mean, variance, breadth, spread = history
    weight = max(1 / (buckets + 1), _FORGETTING)
    over, wider = many - mean, wide - breadth
    return (
        buckets + 1,
        mean + weight * over,
        (1 - weight) * (variance + weight * over * over),
        breadth + weight * wider,
        (1 - weight) * (spread + weight * wider * wider),
    )
