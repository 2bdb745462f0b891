"""What is asked of each feature: given whom or what it is unusual, and whom to ask where that has no history.

The probability of a value is worked out in the most special context that knows it (this actor doing this), which gives
up a share of its mass to the next one (this actor, its peers, everybody) for what it has not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from detector.anomaly.content import CONTENTS


@dataclass(frozen=True, slots=True)
class Chain:
    """One feature and its contexts, most special first; each is named by the features that select it.

    :param prior: bits of surprise at a value nobody was ever seen with, beyond what the contexts say.
    :param value: the feature the value comes from, where that is not ``feature`` itself.
    :param optional: absent means nothing to say; the number of times the actor did the action then counts as history.
    :param weight: share of the surprise that counts.
    :param acted: what those who carry out the will of others (controllers, nodes) have not chosen themselves.
    :param own: what they do of themselves; what is neither says where a request came from.
    """

    feature: str
    contexts: tuple[tuple[str, ...], ...]
    prior: float
    value: str = ""
    optional: bool = False
    weight: float = 1.0
    acted: bool = False
    own: bool = True

    @property
    def unheard(self) -> float:
        """The probability that ``prior`` stands for."""
        return math.exp2(-self.prior)


_UP: tuple[tuple[str, ...], ...] = (("actor",), ("peers",), ("kind",), ())
_DOING: tuple[tuple[str, ...], ...] = (("actor", "action"), ("peers", "action"), ("action",), ())

CHAINS: tuple[Chain, ...] = (
    Chain("action", _UP, 6),
    Chain("namespace", (("actor", "action"), *_UP), 3, acted=True),
    Chain("object", (("actor", "action", "namespace"), ("actor", "namespace")), 1, acted=True),
    Chain("agent", _UP, 4, own=False),
    Chain("address", (("actor",),), 0, weight=0.75, own=False),
    Chain("network", _UP, 3, weight=0.75, own=False),
    Chain("credential", (("credential",),), 0, value="address", optional=True, weight=0.75, own=False),
    Chain("claimed", _UP, 1, optional=True, weight=0.5, own=False),
    Chain("outcome", (("actor", "action"), ("action",), ()), 3, optional=True, weight=0.5),
    Chain("form", _DOING, 3, weight=0.5),
)
"""The chains every event is asked about."""

CONTENT: tuple[Chain, ...] = tuple(Chain(name, _DOING, 3, optional=True, acted=True) for name in CONTENTS)
"""Those of content: their values are tuples, and the most unusual of a tuple counts."""
