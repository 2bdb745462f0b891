"""The map in which a subject keeps what it knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from detector.bounded import BoundedMap
from detector.event import SECOND

SETTLED = 3600 * SECOND
"""What has been known for so long is established, whether or not it was heard of again (microseconds)."""


class Entry(Protocol):
    """What a table keeps."""

    @property
    def at(self) -> int:
        """When it was first heard of (microseconds)."""


E = TypeVar("E", bound=Entry)


def _nothing(_value: Any) -> int:
    return 0


class Table(BoundedMap[E]):
    """A bounded map whose keys are established by being heard of twice, or by having been known for an hour.

    So a flood of new names pushes out only what is new itself, and nothing that was there an hour ago.

    :param kind: the struct its values are, with ``at``.
    :param dropped: hears of what is let go because there was too much.
    :param weigh: gives the weight of a value; all together weigh at most four times ``size``, and a quarter more.
    :param settled: what has been known for so long (microseconds) is established.
    """

    def __init__(
        self,
        size: int,
        kind: type[E],
        dropped: Callable[[tuple[str, ...], E], None] | None = None,
        weigh: Callable[[E], int] = _nothing,
        settled: int = SETTLED,
    ) -> None:
        super().__init__(size, 4 * size, weigh)
        self.kind = kind
        self._dropped = dropped
        self._settled = settled

    def learn(self, key: tuple[str, ...], value: E, now: int) -> None:
        """Set a key at ``now``; the second time establishes it."""
        self._settle(now)
        known = self.get(key)
        self.put(key, value, 0 if known is None else self._weigh(value) - self._weigh(known))

    def amend(self, key: tuple[str, ...], value: E, now: int) -> None:
        """Set a key without counting it as heard of: what is known of it is completed, or it is new."""
        known = self.get(key)
        if known is None:
            self.learn(key, value, now)
            return
        grown = self._weigh(value) - self._weigh(known)
        if key in self.established:
            self.established[key] = value
            self.settled += grown
        else:
            self.probation[key] = value
            self.fresh += grown

    def _settle(self, now: int) -> None:
        while self.probation:
            key, value = next(iter(self.probation.items()))
            if value.at > now - self._settled:
                return
            self.put(key, value)

    def _evict(self, segment: dict[Any, E]) -> int:
        if self._dropped is not None:
            key, value = next(iter(segment.items()))
            self._dropped(key, value)
        return super()._evict(segment)

    def seed(self, key: tuple[str, ...], value: E) -> None:
        """Set a key that is known for certain: it is established at once. What it says nothing of stays as it was."""
        known = self.get(key)
        if known is not None:
            value = completed(value, known)
        self.pop(key)
        for _ in range(2):
            self.put(key, value)

    def plant(self, key: tuple[str, ...], value: dict[str, Any]) -> bool:
        """Set a key to a value of plain types that is known for certain; tells whether it is a value at all."""
        try:
            self.seed(key, msgspec.convert(value, self.kind))
        except msgspec.ValidationError:
            return False
        return True

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.load(state, lambda value: msgspec.convert(value, self.kind))


def completed(value: Any, known: Any) -> Any:
    """Give a struct with what it leaves open (None) taken from another of the same kind, which is as old as that."""
    names = value.__struct_fields__
    kept = {name: getattr(known, name) for name in names if name == "at" or getattr(value, name) is None}
    return msgspec.structs.replace(value, **kept)
