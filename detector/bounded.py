"""A map with a bound that names seen once cannot flush (law 4).

New keys live in a probation segment and can evict only each other. A key that is set again while on probation becomes
established. This is the segmented LRU of Karedla, Love and Wherry (IEEE Computer 27(3), 1994), with counted evictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

V = TypeVar("V")


class BoundedMap(Generic[V]):
    """At most ``size`` established keys and ``size // 4`` (at least 1) on probation; order is order of use."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a bounded map holds at least one key")
        self.size = size
        self.probation_size = max(1, size // 4)
        self.established: dict[Any, V] = {}
        self.probation: dict[Any, V] = {}
        self.evicted = 0

    def get(self, key: Any) -> V | None:
        """Give the value of a key without counting it as used."""
        value = self.established.get(key)
        return self.probation.get(key) if value is None else value

    def put(self, key: Any, value: V) -> None:
        """Set a key; the second time promotes it, and the oldest of a full segment goes."""
        if key in self.established:
            del self.established[key]
            self.established[key] = value
        elif key in self.probation:
            del self.probation[key]
            self.established[key] = value
            self._shrink(self.established, self.size)
        else:
            self.probation[key] = value
            self._shrink(self.probation, self.probation_size)

    def pop(self, key: Any) -> V | None:
        """Take a key out; None when it was not there."""
        value = self.established.pop(key, None)
        return self.probation.pop(key, None) if value is None else value

    def clear(self) -> None:
        """Take everything out."""
        self.established.clear()
        self.probation.clear()

    def _shrink(self, segment: dict[Any, V], size: int) -> None:
        while len(segment) > size:
            del segment[next(iter(segment))]
            self.evicted += 1

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

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; lists that were tuples as keys become tuples again."""
        self.established = {_key(key): value for key, value in state["established"]}
        self.probation = {_key(key): value for key, value in state["probation"]}
        self.evicted = state["evicted"]


def _key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key
