"""Context: how often each value of a feature was seen in one situation, and how probable the next one is.

A value is *fresh* when first seen and *known* when seen again in another bucket of time or in another request, so that
a burst of one request teaches nothing while it lasts. A known value counts once per bucket.
"""

from __future__ import annotations

from typing import Any

UNIT = 4
"""Counts are integers, in quarters: after two half-lives what was seen once still counts, after three it is gone."""
MOST_KNOWN, MOST_FRESH = 512, 64
_ALPHA = 0.5
_BUCKET = (1 << 32) - 1


class Context:
    """The values of one feature in one situation. Values are texts; buckets are numbers below 2**32."""

    __slots__ = ("at", "fresh", "known", "once", "total")

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        """Count and the bucket last counted, in one integer: count << 32 | bucket."""
        self.fresh: dict[str, int] | None = None
        """Which request brought it first, and in which bucket: request << 32 | bucket."""
        self.total = self.once = 0
        """The sum of counts, and of the counts of what was seen no more than once; in quarters."""
        self.at = 0
        """The bucket it was last put in order of use."""

    def novelty(self, at_least: int = 0) -> float:
        """Give the share of a new value: the Good-Turing estimate of the unseen mass, smoothed.

        :param at_least: how often (in quarters) the situation is known to have occurred.
        """
        total = self.total if self.total > at_least else at_least
        return (self.once + _ALPHA * UNIT) / (total + 2 * _ALPHA * UNIT)

    def probability(self, value: str, at_least: int = 0) -> float:
        """Give the share of a value among all; 0 when it is not known."""
        count = self.known.get(value, 0) >> 32
        if not count:
            return 0.0
        total = self.total if self.total > at_least else at_least
        return count / total * (1 - (self.once + _ALPHA * UNIT) / (total + 2 * _ALPHA * UNIT))

    def counted(self, value: str, bucket: int) -> bool:
        """Say whether a value was counted in this bucket already."""
        return self.known.get(value, 0) & _BUCKET == bucket

    def learn(self, value: str, bucket: int, request: int, always: bool = False) -> bool:
        """Count a value; gives whether it was known before.

        :param always: count it even if it was counted in this bucket already.
        """
        cell = self.known.get(value)
        if cell is not None:
            if always or bucket > cell & _BUCKET:
                self._count(value, cell, bucket)
            return True
        fresh = self.fresh
        if fresh is None:
            self.fresh = {value: request << 32 | bucket}
            return False
        first = fresh.get(value)
        if first is None:
            if len(fresh) >= MOST_FRESH:
                del fresh[next(iter(fresh))]
            fresh[value] = request << 32 | bucket
        elif first & _BUCKET < bucket or first >> 32 != request:
            self._commit(value, bucket)
        return False

    def _count(self, value: str, cell: int, bucket: int) -> None:
        count = cell >> 32
        if count <= UNIT:
            self.once -= count
        count += UNIT
        if count <= UNIT:
            self.once += count
        self.total += UNIT
        self.known[value] = count << 32 | max(bucket, cell & _BUCKET)

    def _commit(self, value: str, bucket: int) -> None:
        assert self.fresh is not None  # noqa: S101 - the caller found the value there
        del self.fresh[value]
        self.fresh = self.fresh or None
        while len(self.known) >= MOST_KNOWN:
            self._make_room()
        self.known[value] = UNIT << 32 | bucket
        self.total += UNIT
        self.once += UNIT

    def _make_room(self) -> None:
        """Forget what was seen once; only where nothing was, everything fades."""
        oldest = next((value for value, cell in self.known.items() if cell >> 32 <= UNIT), None)
        if oldest is None:
            self.halve()
            return
        count = self.known.pop(oldest) >> 32
        self.total -= count
        self.once -= count

    def halve(self) -> None:
        """Let half a history go: every count is halved, what falls below a quarter is forgotten."""
        halved = {value: (cell >> 33, cell & _BUCKET) for value, cell in self.known.items()}
        self.known = {value: count << 32 | bucket for value, (count, bucket) in halved.items() if count}
        counts = [cell >> 32 for cell in self.known.values()]
        self.total = sum(counts)
        self.once = sum(count for count in counts if count <= UNIT)

    @property
    def size(self) -> int:
        """How many values it holds."""
        return len(self.known) + (len(self.fresh) if self.fresh else 0)

    def dump(self) -> list[Any]:
        """Give the state as plain types."""
        return [self.known, self.fresh, self.at]

    @classmethod
    def restored(cls, state: list[Any]) -> Context:
        """Make the context a state was dumped of."""
        one = cls()
        one.known, one.fresh, one.at = state
        counts = [cell >> 32 for cell in one.known.values()]
        one.total, one.once = sum(counts), sum(count for count in counts if count <= UNIT)
        return one
