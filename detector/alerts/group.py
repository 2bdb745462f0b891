"""Grouping: Finding → Alert, in revisions.

An alert opens with its first finding and takes in findings of the same rule, actor and correlation group for
`WINDOW`. It is told when it opens, when its level rises, at most every `TELL` for counts, and when it closes. All of it
follows the log's own time, so that the same log always gives the same alerts.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from detector.event import SECOND, Event
from detector.finding import DISMISSED, Alert, Finding, Level, Reason, RuleInfo, Verdict, make_id
from detector.redaction import scrub_all

WINDOW = 600 * SECOND
TELL = 300 * SECOND
NEVER = 1 << 62
MAX_OPEN = 10_000
MAX_AUDIT_IDS = 256
MAX_LISTED = 20
MAX_SAMPLES = 3
MAX_TEXT = 256
"""Longest text in a sample that is too long as a whole."""
MAX_SAMPLE = 16_384
"""Longest sample event kept whole, in bytes of JSON; of a longer one the bodies are left out."""


class Open(msgspec.Struct):
    """An alert that still takes in findings. The dicts are ordered sets."""

    id: str
    info: RuleInfo
    level: Level
    actor: str
    actor_kind: str
    opened_at: int
    first_seen: int
    last_seen: int
    told_at: int = 0
    count: int = 0
    revision: int = 0
    reasons: dict[str, Reason] = {}
    targets: dict[str, None] = {}
    sources: dict[str, None] = {}
    audit_ids: dict[str, None] = {}
    samples: list[dict[str, Any]] = []
    message: str = ""
    dismissed: bool = False


Key = tuple[str, ...]


class Alerts:
    """The open alerts of one fold."""

    def __init__(self, cluster: str = "") -> None:
        self.cluster = cluster
        self.open: dict[Key, Open] = {}
        self.evicted = 0
        self.next_close = NEVER
        """The time at which the next alert's window is over."""

    def add(self, finding: Finding, event: Event, info: RuleInfo, now: int) -> list[Alert]:
        """Take in a finding when the watermark is ``now``, after `expire`; gives the revisions to tell.

        Windows run on the watermark, not on the finding's own time: a backlog of late events is no storm of alerts.
        """
        key = group_key(finding)
        told: list[Alert] = []
        alert = self.open.get(key)
        opened = alert is None
        if alert is None:
            told.extend(self._make_room())
            alert = self.open[key] = _opened(key, finding, info, self.cluster, now)
            self.next_close = min(self.next_close, alert.opened_at + WINDOW)
        rises = finding.level > alert.level
        _take_in(alert, finding, event)
        if opened or rises or (now >= alert.told_at + TELL and not alert.dismissed):
            alert.told_at = now
            told.append(self._tell(alert, "opened" if opened else "raised" if rises else "updated"))
        return told

    def expire(self, now: int) -> list[Alert]:
        """Close the alerts whose window is over at ``now``."""
        if now < self.next_close:
            return []
        told = [self._close(key) for key, alert in list(self.open.items()) if alert.opened_at + WINDOW <= now]
        self.next_close = min((alert.opened_at + WINDOW for alert in self.open.values()), default=NEVER)
        return told

    def close_all(self) -> list[Alert]:
        """Close every open alert, as at the end of an archive."""
        return [self._close(key) for key in list(self.open)]

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

    def _close(self, key: Key) -> Alert:
        return self._tell(self.open.pop(key), "closed")

    def _tell(self, alert: Open, change: str) -> Alert:
        alert.revision += 1
        return Alert(
            id=alert.id,
            revision=alert.revision,
            status="closed" if change == "closed" else "open",
            change=change,
            level=alert.level,
            title=alert.info.title,
            rule=alert.info,
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
            samples=tuple(alert.samples),
            message=alert.message,
        )

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"open": list(self.open.items()), "evicted": self.evicted}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.open = {tuple(key): msgspec.convert(alert, Open) for key, alert in state["open"]}
        self.evicted = state["evicted"]
        self.next_close = min((alert.opened_at + WINDOW for alert in self.open.values()), default=NEVER)


def group_key(finding: Finding) -> Key:
    """Give what findings share to be one alert: rule, correlation group, and the actor (nobody: the source)."""
    who = finding.actor
    if finding.actor_kind in {"", "anonymous", "unauthenticated"}:
        who = f"{who}@{finding.source}"
    return (finding.rule_id, who, *finding.group)


def _opened(key: Key, finding: Finding, info: RuleInfo, cluster: str, now: int) -> Open:
    return Open(
        id=make_id(cluster, *key, finding.id, str(finding.time)),
        info=info,
        level=finding.level,
        actor=finding.actor,
        actor_kind=finding.actor_kind,
        opened_at=now,
        first_seen=finding.time,
        last_seen=finding.time,
        message=finding.message,
    )


def _take_in(alert: Open, finding: Finding, event: Event) -> None:
    alert.count += finding.count
    alert.level = max(alert.level, finding.level)
    alert.first_seen = min(alert.first_seen, finding.time if finding.since is None else finding.since)
    alert.last_seen = max(alert.last_seen, finding.time)
    for target in finding.targets or (finding.target,):
        _list(alert.targets, target, MAX_LISTED)
    for source in finding.sources or (finding.source,):
        _list(alert.sources, source, MAX_LISTED)
    for audit_id in finding.audit_ids:
        _list(alert.audit_ids, audit_id, MAX_AUDIT_IDS)
    for reason in finding.reasons:
        if len(alert.reasons) < MAX_LISTED:
            alert.reasons.setdefault(f"{reason.selection}/{reason.field}", reason)
    if len(alert.samples) < MAX_SAMPLES:
        alert.samples.append(sample(event))


def _list(into: dict[str, None], item: str, most: int) -> None:
    if item and (item in into or len(into) < most):
        into[item] = None


def sample(event: Event) -> dict[str, Any]:
    """Give an event as it may be shown: tokens blanked; bodies left out where it is too long to keep."""
    plain = event.as_dict()
    if len(memoryview(event.requestObject)) + len(memoryview(event.responseObject)) > MAX_SAMPLE:
        plain = {key: value for key, value in plain.items() if key not in {"requestObject", "responseObject"}}
    shown: dict[str, Any] = scrub_all(plain)
    return shown if len(orjson.dumps(shown, default=str)) <= MAX_SAMPLE else _cut(shown)


def _cut(value: Any) -> Any:
    """Shorten what is long in a sample without bodies: the client chooses some of these texts."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if isinstance(value, dict):
        return {_cut(key): _cut(item) for key, item in list(value.items())[:MAX_LISTED]}
    return [_cut(item) for item in value[:MAX_LISTED]] if isinstance(value, list) else value
