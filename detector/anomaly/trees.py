"""HalfSpaceTrees (Tan, Ting and Liu, IJCAI 2011) behind the interface of our estimator, for comparison.

Every feature is hashed to a number between 0 and 1, which is what a first attempt with this detector looks like. River
fixes its features at the first event, so that content, which most events lack, is not looked at. `river.anomaly` is
imported when the first of these is made: it costs 0.8 s and 110 MB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any
from zlib import crc32

from river.base import AnomalyDetector

from detector.anomaly.surprise import Part, complete, key_of

VERSION = 1
_WHOLE = 1 << 32
_LEAST = 2.0**-60
_FEATURES = 13


class Trees(AnomalyDetector):
    """Half-space trees over hashed features; scores are bits: -log2 of the share of mass where an event falls.

    Parameters
    ----------
    n_trees
        Number of trees.
    height
        Height of each.
    window_size
        Events after which what was counted becomes what is scored by.

    """

    def __init__(self, n_trees: int = 10, height: int = 8, window_size: int = 1_000):
        from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - see above

        self.n_trees = n_trees
        self.height = height
        self.window_size = window_size
        self._trees: Any = HalfSpaceTrees(n_trees=n_trees, height=height, window_size=window_size, seed=0)

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Give the bits of surprise; 0 until the first window is full."""
        return -math.log2(max(_LEAST, 1 - self._trees.score_one(numbers(x))))

    def explain_one(self, x: Mapping[Any, Any]) -> list[Part]:
        """Give the score as one part: trees do not say why."""
        return [("isolation", "", self.score_one(x))]

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Take in one event."""
        self._trees.learn_one(numbers(x))

    def take(self, x: Mapping[Any, Any], most: float = math.inf) -> list[Part]:
        """Score, then learn what has fewer bits than ``most``."""
        parts = self.explain_one(x)
        if parts[0][2] < most:
            self.learn_one(x)
        return parts

    def dump(self) -> dict[str, Any]:
        """Give the state as plain types: the trees themselves follow from the seed."""
        trees = self._trees
        masses = [(node.l_mass, node.r_mass) for node in chain(*trees._tree_nodes)]
        return {"version": VERSION, "masses": masses, "counter": trees.counter, "first": trees._first_window}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave. ValueError when it is of another version."""
        if state.get("version") != VERSION:
            raise ValueError(f"the state of the trees is of version {state.get('version')}, not {VERSION}")
        fresh = self._trees = self._trees.clone()
        if not state["masses"]:
            return
        fresh.learn_one(numbers({}))
        for node, (left, right) in zip(chain(*fresh._tree_nodes), state["masses"], strict=True):
            node.l_mass, node.r_mass = left, right
        fresh.counter, fresh._first_window = state["counter"], state["first"]


def numbers(x: Mapping[Any, Any]) -> dict[str, float]:
    """Give every feature of a request as a number between 0 and 1."""
    return {
        str(place): crc32(text.encode("utf-8", "replace")) / _WHOLE
        for place, text in enumerate(key_of(complete(x))[:_FEATURES])
    }
