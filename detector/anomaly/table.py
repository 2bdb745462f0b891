"""Table: the contexts of all chains, how they answer for each other, and how they learn from each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.anomaly.chains import CHAINS, Chain
from detector.anomaly.context import UNIT, Context
from detector.bounded import BoundedMap

Key = tuple[str, ...]
X = Mapping[str, Any]
_OFTEN = 16
"""Buckets after which a context in use moves up in the order of use."""
_ROUTES = 65_536


class Request:
    """What the table knows of one kind of request: the most special context of each chain."""

    __slots__ = ("content", "contexts", "key", "often")

    def __init__(self, key: Key, contexts: list[Context | None], often: int, content: bool) -> None:
        self.key, self.contexts, self.often, self.content = key, contexts, often, content


class Table:
    """Contexts by feature and situation, bounded in number and in values."""

    def __init__(self, contexts: int, values: int) -> None:
        self.contexts: BoundedMap[Context] = BoundedMap(contexts, values, _weight)
        self._routes: dict[Key, list[Context | None]] = {}
        """Where requests lead that were here before; holds nothing that the contexts do not say."""
        self._evicted = 0

    def request(self, x: X, key: Key) -> Request:
        """Find the most special contexts of a request."""
        if self.contexts.evicted != self._evicted or len(self._routes) > _ROUTES:
            self._evicted = self.contexts.evicted
            self._routes.clear()
        contexts = self._routes.get(key)
        if contexts is None:
            asked = [not chain.optional or bool(x[chain.feature]) for chain in CHAINS]
            contexts = [self.first(chain, x) if ask else None for ask, chain in zip(asked, CHAINS, strict=True)]
            if all(context is not None for ask, context in zip(asked, contexts, strict=True) if ask):
                self._routes[key] = contexts
        doing = contexts[0]
        often = doing.known.get(x["action"], 0) >> 32 if doing is not None else 0
        return Request(key, contexts, often, len(key) > _PLAIN)

    def first(self, chain: Chain, x: X) -> Context | None:
        """Give the most special context of a chain."""
        return self.contexts.get(_place(chain.feature, chain.contexts[0], x))

    def probability(self, chain: Chain, x: X, value: str, often: int, first: Context | None) -> float:
        """Give how probable a value is, asking one context after the other.

        :param often: how often (in quarters) the most special situation is known to have occurred.
        """
        if first is not None:
            left = first.probability(value, often)
            if left:
                return left
            left = first.novelty(often)
        else:
            left = 0.5 * UNIT / (often + UNIT) if often else 1.0
        for place in chain.contexts[1:]:
            context = self.contexts.get(_place(chain.feature, place, x))
            if context is not None:
                share = context.probability(value)
                if share:
                    return left * share
                left *= context.novelty()
        return left * chain.unheard

    def teach(self, chain: Chain, x: X, value: str, bucket: int, request: int, first: Context | None) -> None:
        """Tell the contexts, most special first, up to the one that knew the value."""
        if first is not None and bucket - first.at <= _OFTEN and value in first.known:
            first.learn(value, bucket, request)
            return
        parent = False
        for place in chain.contexts:
            key = _place(chain.feature, place, x)
            if self._tell(key, value, bucket, request, parent):
                return
            parent = True

    def _tell(self, key: Key, value: str, bucket: int, request: int, parent: bool) -> bool:
        context = self.contexts.get(key)
        if context is None:
            context = Context()
            context.at = bucket
            context.learn(value, bucket, request)
            self.contexts.put(key, context)
            return False
        before = context.size
        known = context.learn(value, bucket, request, parent)
        if context.size != before or bucket - context.at > _OFTEN:
            context.at = bucket
            self.contexts.put(key, context, context.size - before)
        return known

    def halve(self) -> None:
        """Let half of all histories go."""
        self._routes.clear()
        kept = [(key, context, segment) for segment in (True, False) for key, context in self._segment(segment)]
        self.contexts.clear()
        for key, context, established in kept:
            context.halve()
            if context.size:
                self.contexts.put(key, context)
                if established:
                    self.contexts.put(key, context)

    def _segment(self, established: bool) -> list[tuple[Key, Context]]:
        return list((self.contexts.established if established else self.contexts.probation).items())

    def dump(self) -> dict[str, Any]:
        """Give the state as plain types."""
        return {
            "established": [(key, context.dump()) for key, context in self.contexts.established.items()],
            "probation": [(key, context.dump()) for key, context in self.contexts.probation.items()],
            "evicted": self.contexts.evicted,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.contexts.load(state, Context.restored)
        self._routes.clear()


_PLAIN = 13
"""Features in the key of a request that carries no content."""


def _weight(context: Context) -> int:
    return context.size


def _place(feature: str, place: Key, x: X) -> Key:
    if len(place) == 1:
        name = place[0]
        return feature, name, x[name]
    if len(place) == 2:  # noqa: PLR2004 - most have two
        one, two = place
        return feature, one, x[one], x[two]
    return (feature, *[x[name] for name in place])
