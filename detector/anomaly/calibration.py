"""Calibration: from "at most so many anomaly incidents a day" to a threshold in bits, from the stream's own history.

What would be an incident is the highest score of one actor in one window of time. A histogram of these, which fades,
gives the score that so many of them a day exceed: the top of it is fitted by an exponential, since scores in bits fall
off like that, so that a short history does for a small budget. No labels are needed. What was alerted counts as having
reached the threshold and no more, so that an attack does not raise it.
"""

from __future__ import annotations

import math
from typing import Any

from detector.event import SECOND

BINS, FINE = 512, 4
"""Bins of a quarter of a bit, up to 128 bits."""
MOST_ACTORS = 65_536
_TOP = 20.0
"""How many of the highest the tail is fitted to, at least; and four times as many as the budget allows."""
LEAST = 12.0
"""However little happens: fewer bits are nobody's business."""
WARM_EVENTS = 10_000
WARM_SHARE = 1 / 6
"""How many events, and what share of a day, are learnt before anything counts."""
_DAYS = 7.0


class Calibration:
    """A threshold that keeps incidents near a budget.

    :param budget: incidents a day.
    :param day: seconds of a day; other than 86,400 for recordings in which time was compressed.
    """

    def __init__(self, budget: float, day: float) -> None:
        self.budget, self.day = budget, day
        self.window = day / 12
        self.counts = [0.0] * BINS
        self.days = 0.0
        """What the counts stand for, faded as they are."""
        self.events = 0
        self.since = 0
        self.threshold = math.inf
        self._number = 0
        self._highest: dict[str, float] = {}

    @property
    def warm(self) -> bool:
        """Whether enough is learnt; once it is, it stays so."""
        return self.days > 0 and self.events >= WARM_EVENTS and self.progress >= 1

    @property
    def progress(self) -> float:
        """How much of what must be learnt first is learnt, 0 to 1."""
        elapsed = self._number * self.window - self.since / SECOND if self.since else 0.0
        return max(0.0, min(1.0, self.events / WARM_EVENTS, elapsed / (self.day * WARM_SHARE)))

    def see(self, actor: str, level: float, time: int) -> None:
        """Take in a score of an actor, at a time in microseconds."""
        number = int(time / (self.window * SECOND))
        if number > self._number:
            self._close(number)
        self.since = self.since or time
        self.events += 1
        level = min(level, self.threshold)
        if level > self._highest.get(actor, 0.0) and (actor in self._highest or len(self._highest) < MOST_ACTORS):
            self._highest[actor] = level

    def excuse(self, level: float) -> None:
        """Count an incident that somebody dismissed at what it reached: it was nothing after all."""
        self.counts[_bin(level)] += 1
        self._set()

    def _close(self, number: int) -> None:
        windows = min(number - self._number, 12 * _DAYS) if self._number else 0
        if self._number and self.progress >= 1:
            share = windows / 12
            fading = 0.5 ** (share / _DAYS)
            self.counts = [count * fading for count in self.counts]
            for level in self._highest.values():
                self.counts[_bin(level)] += 1
            self.days = self.days * fading + share
            self._set()
        self._highest = {}
        self._number = number

    def _set(self) -> None:
        allowed = self.budget * self.days
        if allowed > 0:
            self.threshold = max(LEAST, tail(self.counts, allowed))

    def begin_with(self, counts: list[float], days: float) -> None:
        """Begin with what other clusters taught, until this one has more to say."""
        self.counts, self.days = [*counts, *[0.0] * BINS][:BINS], days
        self._set()

    def dump(self) -> dict[str, Any]:
        """Give the state as plain types."""
        return {
            "counts": self.counts,
            "days": self.days,
            "events": self.events,
            "since": self.since,
            "threshold": None if self.threshold == math.inf else self.threshold,
            "number": self._number,
            "highest": self._highest,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.counts, self.days = state["counts"], state["days"]
        self.events, self.since = state["events"], state["since"]
        self.threshold = math.inf if state["threshold"] is None else state["threshold"]
        self._number, self._highest = state["number"], state["highest"]


def _bin(level: float) -> int:
    return max(0, min(BINS - 1, int(level * FINE)))


def tail(counts: list[float], allowed: float) -> float:
    """Give the score that ``allowed`` of the counted exceed, by an exponential fitted to the highest."""
    wanted = max(_TOP, 4 * allowed)
    above = excess = 0.0
    place = BINS
    while place and above < wanted:
        place -= 1
        excess += above / FINE
        above += counts[place]
    if not above:
        return math.inf
    # Within a bin scores are spread evenly, half a bin more than its lower edge on average.
    return place / FINE + (excess / above + 0.5 / FINE) * math.log(max(1.0, above / allowed))
