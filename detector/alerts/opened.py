"""An open alert, and the room that all open alerts of a cluster share.

What is open is bounded in bytes, as a snapshot counts them: `SAMPLES` for the samples and `TEXTS` for the lists of all
alerts together, and `LEAST` for each alert. With at most 10,000 of them that is 72 MB, however long the names are that
clients choose, and whoever floods.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from detector.alerts.sample import written
from detector.bounded import fit
from detector.event import Event
from detector.finding import Finding, Level, Reason

MAX_AUDIT_IDS = 256
MAX_LISTED = 20
MAX_SAMPLES = 3
SAMPLES = 16 << 20
"""Bytes of JSON in the samples of all open alerts; when three quarters are used, new ones come without bodies."""
TEXTS = 16 << 20
"""Bytes of the texts in the lists of all open alerts; beyond, a list takes in its first text only."""
LEAST = 3_600
"""Bytes of an alert with the longest names, without samples and with one text in each list."""
MAX_NAME, MAX_SENTENCE = 256, 512
"""Longest text kept, in bytes of UTF-8: names, addresses, audit ids and values; sentences and what was touched."""
BESIDE = 100
"""Bytes that a text takes beside its own in memory."""


class Open(msgspec.Struct, array_like=True):
    """An alert that still takes in findings. The dicts are ordered sets."""

    id: str
    rule: str
    level: Level
    actor: str
    actor_kind: str
    message: str
    opened_at: int
    first_seen: int
    last_seen: int
    told_at: int = 0
    count: int = 0
    revision: int = 0
    dismissed: bool = False
    reasons: dict[str, Reason] = {}
    targets: dict[str, None] = {}
    sources: dict[str, None] = {}
    audit_ids: dict[str, None] = {}
    samples: list[bytes] = []
    """Events as JSON."""
    incident: str = ""
    """Id of the incident that it opened as a part of."""


def opened(finding: Finding, name: str, now: int) -> Open:
    """Make the alert that a finding opens; the finding itself is still to be taken in."""
    return Open(
        id=name,
        rule=finding.rule_id,
        level=finding.level,
        actor=fit(finding.actor, MAX_NAME),
        actor_kind=finding.actor_kind,
        message=fit(finding.message, MAX_SENTENCE),
        opened_at=now,
        first_seen=finding.time,
        last_seen=finding.time,
    )


class Room:
    """The bytes that open alerts use of what they share."""

    def __init__(self, alerts: Iterable[Open] = ()) -> None:
        self.sampled = self.listed = 0
        for alert in alerts:
            self.sampled += sum(map(len, alert.samples))
            self.listed += _listed(alert)

    def take_in(self, alert: Open, finding: Finding, event: Event) -> None:
        """Add a finding to an alert: exact in its numbers, the rest as far as there is room."""
        alert.count += finding.count
        alert.level = max(alert.level, finding.level)
        alert.first_seen = min(alert.first_seen, finding.time if finding.since is None else finding.since)
        alert.last_seen = max(alert.last_seen, finding.time)
        for target in finding.targets or (finding.target,):
            self._list(alert.targets, fit(target, MAX_SENTENCE), MAX_LISTED)
        for source in finding.sources or (finding.source,):
            self._list(alert.sources, fit(source, MAX_NAME), MAX_LISTED)
        for audit_id in finding.audit_ids:
            self._list(alert.audit_ids, fit(audit_id, MAX_NAME), MAX_AUDIT_IDS)
        for reason in finding.reasons:
            self._reason(alert.reasons, reason)
        self._sample(alert, event)

    def give_back(self, alert: Open) -> None:
        """Free what an alert has used: it is closed."""
        self.sampled -= sum(map(len, alert.samples))
        self.listed -= _listed(alert)

    def _list(self, into: dict[str, None], text: str, most: int) -> None:
        if text and text not in into and len(into) < most and self._has(into, _size(text)):
            into[text] = None

    def _reason(self, into: dict[str, Reason], reason: Reason) -> None:
        texts = (reason.selection, reason.field, reason.value, reason.wanted)
        kept = Reason(*(fit(text, MAX_NAME) for text in texts))
        place = f"{kept.selection}/{kept.field}"
        if place not in into and len(into) < MAX_LISTED and self._has(into, _size_of_reason(place, kept)):
            into[place] = kept

    def _has(self, into: dict[str, Any], size: int) -> bool:
        """Take so many bytes, unless the list has one text already and there is no room for more."""
        if into and self.listed + size > TEXTS:
            return False
        self.listed += size
        return True

    def _sample(self, alert: Open, event: Event) -> None:
        if len(alert.samples) < MAX_SAMPLES and self.sampled < SAMPLES:
            sample = written(event, bodies=self.sampled < SAMPLES * 3 // 4)
            if self.sampled + len(sample) <= SAMPLES:
                alert.samples.append(sample)
                self.sampled += len(sample)


def _size(text: str) -> int:
    return len(text.encode()) + BESIDE


def _size_of_reason(place: str, reason: Reason) -> int:
    return sum(map(_size, (place, reason.selection, reason.field, reason.value, reason.wanted)))


def _listed(alert: Open) -> int:
    texts = sum(_size(text) for each in (alert.targets, alert.sources, alert.audit_ids) for text in each)
    return texts + sum(_size_of_reason(*item) for item in alert.reasons.items())
