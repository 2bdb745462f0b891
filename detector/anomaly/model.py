"""Model: what one cluster keeps of the model: the estimator, the threshold, evidence, and what is in quarantine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from detector.anomaly.calibration import Calibration
from detector.anomaly.evidence import Evidence
from detector.anomaly.features import Features, features
from detector.anomaly.surprise import CategoricalSurprise, Part, bits_of, key_of
from detector.anomaly.trees import Trees
from detector.bounded import BoundedMap
from detector.event import SECOND, Event

Key = tuple[str, ...]
VERSION = 1
_STARTED = 16_384
_QUARANTINE = 10_000
_DAYS = 3
_CLEAR = 4.0
"""So many bits above the threshold an event goes to quarantine. What only just reaches it is told and learnt."""
_COLD = 8.0
"""So many bits more it takes at the very beginning, when nearly everything is new; then less and less."""
_TOLD = 1.5
"""How fast what was told before loses weight: bits per doubling."""
"""On so many days must something alerted be seen before it is learnt."""
_ROUTINE = 12.0
"""Fewer bits than that are no evidence, and set no threshold."""


class Settings(msgspec.Struct, frozen=True):
    """What a person may choose."""

    incidents_per_day: float = 5.0
    """The threshold sets itself so that about so many incidents come of it."""
    day: float = 86_400.0
    """Seconds of a day; less for recordings in which time was compressed."""
    memory: float = 300.0
    """Seconds after which evidence against somebody counts half."""
    estimator: Literal["surprise", "trees"] = "surprise"
    """What scores: our own estimator, or half-space trees, to compare with."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the model says of one event."""

    score: float
    """Bits of surprise, the sum of its parts."""
    parts: tuple[Part, ...] = ()
    """What they come of, the most surprising first; nothing for what is below the threshold."""
    level: float = 0.0
    """The score with the evidence of what came before: this is held against the threshold."""
    threshold: float = 0.0
    alert: bool = False
    """Whether a person should see it; a novelty is told once."""


class Held(NamedTuple):
    """What was alerted and is in quarantine."""

    day: int
    """The last day it was seen."""
    days: int
    """On how many it was."""
    times: int

    def again(self) -> Held:
        """Give it seen once more."""
        return self._replace(times=self.times + 1)


class Model:
    """Scores and learns the events of one cluster, in order. Nothing in it depends on a clock."""

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008 - immutable
        self.settings = settings
        self.estimator: CategoricalSurprise | Trees = _estimator(settings)
        self.calibration = Calibration(settings.incidents_per_day, settings.day)
        self.evidence = Evidence(settings.memory)
        self.quarantine: BoundedMap[Held] = BoundedMap(_QUARANTINE)
        """What was alerted, by request."""
        self._started: BoundedMap[float] = BoundedMap(_STARTED)

    @property
    def progress(self) -> float:
        """How warm the model is, 0 to 1; before 1 only the starter's threshold is there to go by."""
        return self.calibration.progress

    def check(self, event: Event, now: int) -> Judgement:
        """Judge an event and learn it; the later stages of a request are the request that was judged already."""
        if event.stage == "ResponseStarted":
            judgement = self.judge(features(event, now))
            self._started.put(event.request_key, judgement.score)
            return judgement
        if event.stage == "ResponseComplete":
            before = self._started.pop(event.request_key) if len(self._started) else None
            if before is not None:
                return Judgement(before)
        return self.judge(features(event, now))

    def judge(self, x: Features) -> Judgement:
        """Judge features and learn them, unless they are too surprising to learn."""
        cold, key = 0.0 if self.calibration.warm else 1 - self.calibration.progress, key_of(x)
        threshold = self.calibration.threshold + _COLD * cold
        held = self._held(key, x["time"]) if len(self.quarantine) else None
        learn = held is not None and held.days >= _DAYS
        parts = self.estimator.take(x, math.inf if learn or cold else threshold + _CLEAR)
        if held is not None:
            parts = [*parts, ("told before", x["action"], -_TOLD * math.log2(1 + held.times))]
        score = bits_of(parts)
        level = score + self.evidence.weigh(_names(x), score, x["time"]) if score >= _ROUTINE else score
        self.calibration.see(x["actor"], level, x["time"])
        if not cold and (held is not None or level >= threshold):
            self.quarantine.put(key, (held or Held(self._day(x["time"]), 1, 0)).again())
        if level < threshold:
            return Judgement(score, (), level, threshold)
        ordered = tuple(sorted(parts, key=lambda part: -part[2]))
        return Judgement(score, ordered, level, threshold, alert=held is None)

    def _day(self, time: int) -> int:
        return int(time / (self.settings.day * SECOND))

    def _held(self, key: Key, time: int) -> Held | None:
        held, day = self.quarantine.get(key), self._day(time)
        return held if held is None or held.day == day else Held(day, held.days + 1, held.times)

    def dismiss(self, actor: str, action: str, level: float) -> None:
        """Learn what somebody called harmless, when it comes next; the threshold takes note."""
        for key in [key for key, _ in self.quarantine.items() if (key[0], key[3]) == (actor, action)]:
            self.quarantine.put(key, Held(-1, _DAYS, 1))
        self.calibration.excuse(level)

    def dump(self) -> dict[str, Any]:
        """Give the whole state as plain types, for msgpack."""
        return {
            "version": VERSION,
            "estimator": self.estimator.dump(),
            "calibration": self.calibration.dump(),
            "evidence": self.evidence.dump(),
            "quarantine": self.quarantine.dump(),
            "started": self._started.dump(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave. ValueError when it is of another version."""
        if state.get("version") != VERSION:
            raise ValueError(f"the model's state is of version {state.get('version')}, not {VERSION}")
        self.estimator.load(state["estimator"])
        self.calibration.load(state["calibration"])
        self.evidence.load(state["evidence"])
        self.quarantine.load(state["quarantine"], Held._make)
        self._started.load(state["started"])


def _estimator(settings: Settings) -> CategoricalSurprise | Trees:
    return Trees() if settings.estimator == "trees" else CategoricalSurprise()


def _names(x: Features) -> tuple[str, ...]:
    """Give those whom evidence is held against."""
    names = (f"actor {x['actor']}", f"address {x['address']}")
    return (*names, f"credential {x['credential']}") if x["credential"] else names
