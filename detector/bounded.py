"""Bounds: a map that names seen once cannot flush (law 4), and the longest text that is kept.

New keys live in a probation segment and can evict only each other. A key that is set again while on probation becomes
established. This is the segmented LRU of Karedla, Love and Wherry (IEEE Computer 27(3), 1994), with counted evictions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

V = TypeVar("V")


def _nothing(_value: Any) -> int:
    return 0


class BoundedMap(Generic[V]):
    """At most ``size`` established keys and ``size // 4`` (at least 1) on probation; order is order of use.

    Where values have a weight, the established ones weigh at most ``room`` together and those on probation a quarter of
    it, or else there is only one. In bytes that is 1.25 times ``size`` longest keys, and as many values or what weighs
    1.25 times ``room``: whoever puts them caps their length.

    :param weigh: gives the weight of a value.
    """

    def __init__(self, size: int, room: int = sys.maxsize, weigh: Callable[[V], int] = _nothing) -> None:
        if size < 1:
            raise ValueError("a bounded map holds at least one key")
        self.size, self.room = size, room
        self.probation_size = max(1, size // 4)
        self.established: dict[Any, V] = {}
        self.probation: dict[Any, V] = {}
        self.evicted = 0
        self.settled = self.fresh = 0
        """The weight of what is established, and of what is on probation."""
        self._weigh = weigh

    def get(self, key: Any) -> V | None:
        """Give the value of a key without counting it as used."""
        value = self.established.get(key)
        return self.probation.get(key) if value is None else value

    def put(self, key: Any, value: V, grown: int = 0) -> None:
        """Set a key; the second time promotes it, and the oldest of a full segment goes.

        :param grown: by how much the value weighs more than the one it replaces, which may be itself before a change.
        """
        if key in self.established:
            del self.established[key]
            self.established[key] = value
            self.settled += grown
        elif key in self.probation:
            del self.probation[key]
            weight = self._weigh(value)
            self.fresh -= weight - grown
            self.established[key] = value
            self.settled += weight
        else:
            self.probation[key] = value
            self.fresh += self._weigh(value)
            while len(self.probation) > self.probation_size or (
                self.fresh > self.room // 4 and len(self.probation) > 1
            ):
                self.fresh -= self._evict(self.probation)
            return
        while len(self.established) > self.size or (self.settled > self.room and len(self.established) > 1):
            self.settled -= self._evict(self.established)

    def _evict(self, segment: dict[Any, V]) -> int:
        self.evicted += 1
        return self._weigh(segment.pop(next(iter(segment))))

    def pop(self, key: Any) -> V | None:
        """Take a key out; None when it was not there."""
        if key in self.established:
            value = self.established.pop(key)
            self.settled -= self._weigh(value)
            return value
        if key in self.probation:
            value = self.probation.pop(key)
            self.fresh -= self._weigh(value)
            return value
        return None

    def clear(self) -> None:
        """Take everything out."""
        self.established.clear()
        self.probation.clear()
        self.settled = self.fresh = 0

    def __len__(self) -> int:
        return len(self.established) + len(self.probation)

    def __contains__(self, key: Any) -> bool:
        return key in self.established or key in self.probation

    def items(self) -> Iterator[tuple[Any, V]]:
        """Give every pair, established keys first, each segment oldest first."""
        yield from self.established.items()
        yield from self.probation.items()

    def dump(self) -> dict[str, Any]:
        """Give the whole state for a snapshot; keys and values must be of plain types."""
        return {
            "established": list(self.established.items()),
            "probation": list(self.probation.items()),
            "evicted": self.evicted,
        }

    def load(self, state: dict[str, Any], read: Callable[[Any], V] | None = None) -> None:
        """Take over what `dump` gave; lists that were tuples as keys become tuples again.

        :param read: makes a value of what `dump` had for it.
        """
        self.established = {_key(key): read(value) if read else value for key, value in state["established"]}
        self.probation = {_key(key): read(value) if read else value for key, value in state["probation"]}
        self.settled = sum(map(self._weigh, self.established.values()))
        self.fresh = sum(map(self._weigh, self.probation.values()))
        self.evicted = state["evicted"]


def _key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def fit(text: str, most: int) -> str:
    """Cut a text to so many bytes of UTF-8."""
    return text[:most] if text.isascii() else text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
