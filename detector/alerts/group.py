"""Grouping: Finding → Alert, in revisions; and those of one chain of actors → incident.

An alert opens with its first finding and takes in findings of the same rule, actor and correlation group for
`WINDOW`. It is told when it opens, when its level rises, at most every `TELL` for counts, and when it closes. All of it
follows the log's own time, so that the same log always gives the same alerts.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from detector.alerts.chain import identities
from detector.alerts.incident import NEVER, TELL, Incidents
from detector.alerts.opened import Open, Room, opened
from detector.event import SECOND, Event
from detector.finding import DISMISSED, Alert, Finding, RuleInfo, Verdict, make_id

WINDOW = 600 * SECOND
MAX_OPEN = 10_000


class Alerts:
    """The open alerts of one cluster."""

    def __init__(self, cluster: str = "") -> None:
        self.cluster = cluster
        self.open: dict[str, Open] = {}
        """By the digest of what their findings share."""
        self.infos: dict[str, RuleInfo] = {}
        """What people are told of the rules of these alerts, by the rule's id."""
        self.room = Room()
        self.incidents = Incidents(cluster)
        self.evicted = 0
        self.next_close = NEVER
        """The time before which nothing is over."""

    def add(self, finding: Finding, event: Event, info: RuleInfo, now: int) -> list[Alert]:
        """Take in a finding when the watermark is ``now``, after `expire`; gives the revisions to tell.

        Windows run on the watermark, not on the finding's own time: a backlog of late events is no storm of alerts.
        """
        tied = identities(event)
        shared = group_key(finding)
        key = make_id(*shared)
        told: list[Alert] = []
        alert = self.open.get(key)
        opens = alert is None
        if alert is None:
            told.extend(self._make_room())
            name = make_id(self.cluster, *shared, finding.id, str(finding.time))
            alert = self.open[key] = opened(finding, name, now)
            self.next_close = min(self.next_close, alert.opened_at + WINDOW)
        self.infos[info.id] = info
        rises = finding.level > alert.level
        self.room.take_in(alert, finding, event)
        story = self.incidents.add(alert, finding, info, tied, now)
        if opens:
            alert.incident = self.incidents.of(tied)
        if opens or rises or (now >= alert.told_at + TELL and not alert.dismissed):
            alert.told_at = now
            told.append(self._tell(alert, "opened" if opens else "raised" if rises else "updated"))
        told += story
        self.next_close = min(self.next_close, self.incidents.next_close)
        return told

    def expire(self, now: int) -> list[Alert]:
        """Close the alerts and incidents that are over at ``now``."""
        if now < self.next_close:
            return []
        told = [self._close(key) for key, alert in list(self.open.items()) if alert.opened_at + WINDOW <= now]
        told += self.incidents.expire(now)
        self._set_next_close()
        return told

    def close_all(self) -> list[Alert]:
        """Close every open alert and incident, as at the end of an archive."""
        return [*(self._close(key) for key in list(self.open)), *self.incidents.close_all()]

    def _set_next_close(self) -> None:
        windows = (alert.opened_at + WINDOW for alert in self.open.values())
        self.next_close = min(self.incidents.next_close, min(windows, default=NEVER))

    def judge(self, verdict: Verdict) -> None:
        """Stop telling the counts of an alert that a person has dismissed; it is told when it rises, and closed."""
        for alert in self.open.values():
            if alert.id == verdict.alert:
                alert.dismissed = verdict.judgement == DISMISSED

    def _make_room(self) -> list[Alert]:
        if len(self.open) < MAX_OPEN:
            return []
        self.evicted += 1
        return [self._close(next(iter(self.open)))]

    def _close(self, key: str) -> Alert:
        alert = self.open.pop(key)
        self.room.give_back(alert)
        told = self._tell(alert, "closed")
        if not self.open:
            self.infos.clear()
        return told

    def _tell(self, alert: Open, change: str) -> Alert:
        alert.revision += 1
        info = self.infos[alert.rule]
        return Alert(
            id=alert.id,
            revision=alert.revision,
            status="closed" if change == "closed" else "open",
            change=change,
            level=alert.level,
            title=info.title,
            rule=info,
            cluster=self.cluster,
            actor=alert.actor,
            actor_kind=alert.actor_kind,
            targets=tuple(alert.targets),
            sources=tuple(alert.sources),
            first_seen=alert.first_seen,
            last_seen=alert.last_seen,
            count=alert.count,
            reasons=tuple(alert.reasons.values()),
            audit_ids=tuple(alert.audit_ids),
            samples=tuple(map(orjson.loads, alert.samples)),
            message=alert.message,
            incident=alert.incident,
        )

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        used = sorted({alert.rule for alert in self.open.values()})
        return {
            "open": list(self.open.items()),
            "infos": [self.infos[name] for name in used],
            "incidents": self.incidents.dump(),
            "evicted": self.evicted,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.open = {key: msgspec.convert(alert, Open) for key, alert in state["open"]}
        self.infos = {info.id: info for info in msgspec.convert(state["infos"], list[RuleInfo])}
        self.room = Room(self.open.values())
        self.incidents.load(state["incidents"])
        self.evicted = state["evicted"]
        self._set_next_close()


def group_key(finding: Finding) -> tuple[str, ...]:
    """Give what findings share to be one alert: rule, correlation group, and the actor (nobody: the source)."""
    who = finding.actor
    if finding.actor_kind in {"", "anonymous", "unauthenticated"}:
        who = f"{who}@{finding.source}"
    return (finding.rule_id, who, *finding.group)
