"""CategoricalSurprise: the River estimator that scores an event by the bits of surprise in its features.

bits = -log2 P(action, namespace, object, outcome, client, location, content | actor), each conditional backed off from
the actor to its peers, its kind and everybody (interpolation with Good-Turing novelty; parents count the children that
use a value, as in Kneser and Ney, ICASSP 1995), plus the surprise at volume and breadth, and at rare actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import itemgetter
from typing import Any
from zlib import crc32

from river.base import AnomalyDetector

from detector.anomaly.chains import CHAINS, CONTENT
from detector.anomaly.table import Key, Request, Table
from detector.anomaly.volume import USUAL, Volumes
from detector.anomaly.weights import acting, content_shares, location_shares
from detector.bounded import BoundedMap

Part = tuple[str, str, float]
"""Feature, value, bits."""

SECOND = 1_000_000
VERSION = 1
_YOUNG = 0.6
"""How much less surprise there is at what somebody else began just now."""
_RARE, _MOST_DEVIATION = 0.5, 6.0
_MEMO = 32_768
_WHO = ("actor", "peers", "kind", "action", "namespace", "object", "agent", "address", "network", "credential",
        "claimed", "outcome", "form")  # fmt: skip
_who = itemgetter(*_WHO)
_CONTENT_NAMES = tuple(chain.feature for chain in CONTENT)
_CHAINS = tuple((chain, chain.value or chain.feature, chain.feature, chain.optional) for chain in CHAINS)


class CategoricalSurprise(AnomalyDetector):
    """Hierarchical categorical surprise over the features of `detector.anomaly.features`.

    Scores are bits: 0 is what the actor always does, every ten bits are a thousand times less usual. The same request
    in the same bucket of time has one score but for its volume, and is learnt once. State is bounded, and a function of
    the calls alone.

    Parameters
    ----------
    bucket
        Seconds within which repetitions of one request count once.
    half_life
        Days after which a history counts half.
    contexts
        The number of situations kept (`detector.bounded`); those on probation come on top, a quarter of it.
    values
        The number of values kept in all situations together.

    """

    def __init__(self, bucket: float = 15.0, half_life: float = 7.0, contexts: int = 393_216, values: int = 2_000_000):
        self.bucket = bucket
        self.half_life = half_life
        self.contexts = contexts
        self.values = values
        self._bucket = 0
        self._epoch = 0
        self._table = Table(contexts, values)
        self._firsts: BoundedMap[tuple[int, str]] = BoundedMap(4_096)
        self._volumes = Volumes()
        self._memo: dict[Key, list[Part]] = {}

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Give the bits of surprise; larger is more unusual."""
        return bits_of(self.explain_one(x))

    def explain_one(self, x: Mapping[Any, Any]) -> list[Part]:
        """Give what the score is made of, feature by feature; the bits add up to it."""
        x = complete(x)
        key, same = key_of(x), self._number(x) == self._bucket
        parts = self._memo.get(key) if same else None
        if parts is None:
            parts = self._parts(x, self._table.request(x, key))
        return [*parts, *self._amounts(x, learn=False, same=same)]

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Take in one event."""
        self.take(x)

    def take(self, x: Mapping[Any, Any], most: float = math.inf) -> list[Part]:
        """Score, then learn, at the cost of one: gives what `explain_one` gives before.

        :param most: bits from which on an event is scored but not learnt, except for its volume.
        """
        x = complete(x)
        number = self._number(x)
        if number != self._bucket:
            self._turn(number)
        key = key_of(x)
        parts = self._memo.get(key)
        amounts = self._amounts(x, learn=True)
        if parts is not None:
            return [*parts, *amounts] if amounts else parts
        request = self._table.request(x, key)
        parts = self._parts(x, request)
        if len(self._memo) < _MEMO:
            self._memo[key] = parts
        both = [*parts, *amounts] if amounts else parts
        if most == math.inf or bits_of(both) < most:
            self._learn(x, request)
        return both

    def _number(self, x: Mapping[str, Any]) -> int:
        return max(self._bucket, int(x["time"] / (self.bucket * SECOND)) & 0xFFFFFFFF)

    def _turn(self, number: int) -> None:
        self._volumes.turn()
        self._memo.clear()
        self._bucket = number
        epoch = int(number * self.bucket / (self.half_life * 86_400))
        if self._epoch and epoch > self._epoch:
            for _ in range(min(epoch - self._epoch, 8)):
                self._table.halve()
        self._epoch = epoch

    # Scoring.

    def _parts(self, x: Mapping[str, Any], request: Request) -> list[Part]:
        bits, probability = {}, self._table.probability
        for (chain, name, feature, optional), place in zip(_CHAINS, request.contexts, strict=True):
            if not optional:
                known = place.probability(x[name]) if place is not None else 0.0
                bits[feature] = -math.log2(known or probability(chain, x, x[name], 0, place))
            elif x[feature]:
                bits[feature] = -math.log2(probability(chain, x, x[name], request.often, place))
        where = location_shares(bits)
        usual = max(bits["agent"], *(bits[name] for name in where))
        own, acted = acting(x["kind"], usual, 1 - _YOUNG * self._youth(x))
        parts = []
        for chain, name, feature, _ in _CHAINS:
            found = bits.get(feature, 0.0)
            if found > 0:
                share = where.get(feature) or (acted if chain.acted else own if chain.own else 1.0)
                if share:
                    parts.append((feature, x[name], found * share * chain.weight))
        return parts + self._content(x, request, acted) if request.content and acted else parts

    def _youth(self, x: Mapping[str, Any]) -> float:
        """Give 1 for what somebody else has just begun, falling to 0 as that grows old."""
        most = 0.0
        for name in ("action", "namespace"):
            first = self._firsts.get((name, x[name]))
            if first is not None and first[1] != x["actor"]:
                age = (x["time"] - first[0]) / (SECOND * 2 * self.bucket)
                most = max(most, math.exp(-max(0.0, age)))
        return most

    def _content(self, x: Mapping[str, Any], request: Request, weight: float) -> list[Part]:
        found = []
        for chain in CONTENT:
            values = x.get(chain.feature)
            if values:
                place = self._table.first(chain, x)
                bits, value = max(
                    (-math.log2(self._table.probability(chain, x, value, request.often, place)), value)
                    for value in values
                )
                found.append((chain.feature, value, bits * weight))
        return content_shares(found)

    def _amounts(self, x: Mapping[str, Any], learn: bool, same: bool = True) -> list[Part]:
        """Give the surprise at how rare the action is and how much there is of it; takes in the event if it is to."""
        actor, action = x["actor"], x["action"]
        target = (action, x["namespace"], x["object"])
        get = self._volumes.open if learn else self._volumes.look
        all_of, doing = get((actor,)), get((actor, action))
        rare = (all_of.buckets + 1) / (doing.buckets + 0.5)
        parts = [("rarity", action, _RARE * math.log2(rare))] if rare > 1 else []
        over = max(all_of.deviation(target), doing.deviation(target)) if same else 0.0
        if over > USUAL:
            over = min(over - USUAL, _MOST_DEVIATION)
            parts.append(("volume", action, acting(x["kind"], 0.0, 1.0)[0] * over * over))
        if learn:
            all_of.add(target)
            doing.add(target)
        return parts

    # Learning.

    def _learn(self, x: Mapping[str, Any], request: Request) -> None:
        number = crc32("\0".join(request.key).encode("utf-8", "replace"))
        teach, bucket, refused = self._table.teach, self._bucket, x["refused"]
        for (chain, name, feature, optional), place in zip(_CHAINS, request.contexts, strict=True):
            if not optional or x[feature]:
                value = x[name]
                # Most of the time the value was counted in this bucket already, by another request.
                if place is None or not place.counted(value, bucket):
                    teach(chain, x, value, bucket, number, place)
            if refused:
                # It is known as refused and teaches nothing else: who may not, may not make things usual.
                return
        for chain in CONTENT if request.content else ():
            for value in x.get(chain.feature, ()):
                teach(chain, x, value, bucket, number, self._table.first(chain, x))
        for name in ("action", "namespace"):
            first = (name, x[name])
            if first not in self._firsts:
                self._firsts.put(first, (x["time"], x["actor"]))

    # State.

    def dump(self) -> dict[str, Any]:
        """Give the whole state as plain types, for msgpack."""
        return {
            "version": VERSION,
            "bucket": self._bucket,
            "epoch": self._epoch,
            "table": self._table.dump(),
            "firsts": self._firsts.dump(),
            "volumes": self._volumes.dump(),
            "memo": list(self._memo.items()),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave. ValueError when it is of another version."""
        if state.get("version") != VERSION:
            raise ValueError(f"the model's state is of version {state.get('version')}, not {VERSION}")
        self._bucket, self._epoch = state["bucket"], state["epoch"]
        self._table.load(state["table"])
        self._firsts.load(state["firsts"], _first)
        self._volumes.load(state["volumes"])
        self._memo = {tuple(key): [_part(part) for part in parts] for key, parts in state["memo"]}


def bits_of(parts: list[Part]) -> float:
    """Add up the bits of parts."""
    return sum([bits for _, _, bits in parts])


def _first(pair: list[Any]) -> tuple[int, str]:
    return pair[0], pair[1]


def _part(part: list[Any]) -> Part:
    return part[0], part[1], part[2]


_EMPTY: dict[str, Any] = {"time": 0, "refused": False, **dict.fromkeys(_WHO, "")}
_all = itemgetter(*_EMPTY)


def complete(x: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Give features with all names there are, as texts; those of `detector.anomaly.features` are complete."""
    try:
        _all(x)
    except KeyError:
        told = {name: str(value) for name, value in x.items() if name in _WHO}
        content = {name: x[name] for name in _CONTENT_NAMES if x.get(name)}
        return {**_EMPTY, **told, **content, "time": x.get("time", 0), "refused": x.get("refused", False)}
    return x


def key_of(x: Mapping[str, Any]) -> Key:
    """Give what makes two requests the same."""
    key: Key = _who(x)
    if len(x) == len(_EMPTY):
        return key
    return (*key, *[f"{name}={value}" for name in _CONTENT_NAMES for value in x.get(name, ())])
