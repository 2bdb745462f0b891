"""Who the alerts are about: a bounded table of actors."""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.finding import Alert, Level

MOST = 4096
"""Actors held; when there are more, the less severe half is let go (names are the attacker's to invent)."""
LISTED = 12
"""Different rules remembered for each actor, and addresses."""


@dataclass
class Actor:
    """What the alerts about one actor come to."""

    name: str
    kind: str
    level: Level = Level.informational
    alerts: int = 0
    events: int = 0
    first: int = 0
    last: int = 0
    acts: dict[str, tuple[int, Level]] = field(default_factory=dict)
    """Titles of the rules that spoke, with the time they first did and the highest level."""
    sources: dict[str, None] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """The order of actors: by level, then by the number of alerts, then by time."""
        return (-self.level, -self.alerts, self.first, self.name)

    def add(self, alert: Alert) -> None:
        """Take in an alert about this actor."""
        self.first = min(self.first, alert.first_seen) if self.alerts else alert.first_seen
        self.last = max(self.last, alert.last_seen)
        self.alerts += 1
        self.events += alert.count
        self.level = max(self.level, alert.level)
        self._act(alert)
        for source in alert.sources:
            if len(self.sources) < LISTED:
                self.sources[source] = None

    def _act(self, alert: Alert) -> None:
        time, level = self.acts.get(alert.title, (alert.first_seen, alert.level))
        self.acts[alert.title] = min(time, alert.first_seen), max(level, alert.level)
        if len(self.acts) > LISTED:
            del self.acts[min(self.acts, key=lambda title: (self.acts[title][1], -self.acts[title][0]))]

    def story(self, most: int) -> list[tuple[str, int, Level]]:
        """Give the ``most`` severe things it did, by level, then by time: title, time, level."""
        severe = sorted(self.acts.items(), key=lambda item: (-item[1][1], item[1][0]))[:most]
        return [(title, time, level) for title, (time, level) in severe]


class Actors:
    """The actors of all alerts."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Actor] = {}
        self.forgotten = 0

    def add(self, alert: Alert) -> None:
        """Take in an alert."""
        key = alert.actor, alert.actor_kind
        actor = self._known.get(key)
        if actor is None:
            self._make_room()
            actor = self._known[key] = Actor(*key)
        actor.add(alert)

    def _make_room(self) -> None:
        if len(self._known) >= MOST:
            kept = self.top(MOST // 2)
            self.forgotten += len(self._known) - len(kept)
            self._known = {(actor.name, actor.kind): actor for actor in kept}

    def top(self, most: int) -> list[Actor]:
        """Give the first actors by level, then by number of alerts."""
        return sorted(self._known.values(), key=lambda actor: actor.rank)[:most]

    def __len__(self) -> int:
        """Count the actors, those no longer held included."""
        return len(self._known) + self.forgotten
