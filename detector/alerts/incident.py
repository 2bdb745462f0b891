"""Incidents: alerts of one chain of actors become one story, with a level that rises as an attack goes on.

Alerts that share an identity (see `detector.alerts.chain`) within `QUIET` of each other belong together. An incident
is told once alerts of two rules about different acts belong to it, and from then on as an alert is: when it opens, when
its level rises, at most every five minutes for counts, and when it closes. It is closed when nothing was added for
`QUIET`, or after a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from detector.alerts.opened import MAX_AUDIT_IDS, MAX_LISTED, MAX_NAME, MAX_SENTENCE, Open
from detector.bounded import fit
from detector.event import SECOND
from detector.finding import Alert, Chapter, Finding, Level, RuleInfo, make_id

QUIET, DAY = 3600 * SECOND, 86_400 * SECOND
TELL = 300 * SECOND
NEVER = 1 << 62
MAX_TOLD, MAX_UNTOLD = 200, 2_000
"""Open incidents that were told, and groups of alerts that are no incident yet."""
LEAST = 5_000
"""Bytes of one with the longest names and a chapter or two. One with all the chapters and names it may have has some
300,000, and one that is none yet, but gave rights to as many as count, some 30,000: 120 MB in all, whoever floods."""
CHAPTERS, IDENTITIES = 40, 300
"""Alerts named in a story, and identities of one chain."""
SENTENCES = 8
"""Chapters in the sentence that tells a story in short."""
STAGES = ("recon", "access", "escalation", "persistence", "impact")
_STAGE_OF = {
    "reconnaissance": "recon",
    "discovery": "recon",
    "privilege-escalation": "escalation",
    "persistence": "persistence",
    "defense-evasion": "persistence",
    "command-and-control": "persistence",
    "exfiltration": "impact",
    "impact": "impact",
}
RISE = {3: 1, 4: 2, 5: 2}
"""By how many steps the level is above that of the worst alert, by the number of stages."""
RULE = "incident"
"""Stands for the rule's id."""
DESCRIPTION = "Alerts that share an actor, a credential, or somebody to whom an actor gave rights, within an hour."
RUNBOOK = (
    "Read the story from the top: the first chapter tells how it began, and which identity to look at first.",
    "Ask the people behind the identities whether this was them. If not, revoke the credentials of all of them.",
    "Undo what the story says was made: bindings, tokens, pods, webhooks. Then look for what followed from it.",
)


class Incident(msgspec.Struct, array_like=True):
    """Alerts of one chain of actors. The dicts are ordered sets."""

    id: str
    opened_at: int
    touched_at: int
    first_seen: int
    last_seen: int
    actor: str
    actor_kind: str
    level: Level = Level.informational
    worst: Level = Level.informational
    """Of its alerts, those that have no chapter any more included."""
    told_at: int = 0
    count: int = 0
    revision: int = 0
    identities: dict[str, None] = {}
    chapters: dict[str, Chapter] = {}
    """By the id of the alert."""
    reached: dict[str, None] = {}
    """Stages."""
    rules: dict[str, None] = {}
    """Those that brought an event of their own: two rules about one act are no story."""
    tactics: dict[str, None] = {}
    techniques: dict[str, None] = {}
    targets: dict[str, None] = {}
    sources: dict[str, None] = {}
    audit_ids: dict[str, None] = {}

    @property
    def ends(self) -> int:
        """The time at which it is over, unless something is added."""
        return min(self.touched_at + QUIET, self.opened_at + DAY)

    @property
    def stages(self) -> list[str]:
        """The stages it has reached, in their order."""
        return [stage for stage in STAGES if stage in self.reached]

    @property
    def risen(self) -> Level:
        """The level as it ought to be by now."""
        return Level(min(self.worst + RISE.get(len(self.stages), 0), Level.critical))


class Incidents:
    """The incidents of one cluster, and the alerts that may become one."""

    def __init__(self, cluster: str = "") -> None:
        self.cluster = cluster
        self.told: dict[str, Incident] = {}
        self.untold: dict[str, Incident] = {}
        """Both by id, those longest untouched first."""
        self.evicted = 0
        self.next_close = NEVER
        """The time before which none is over."""
        self._of: dict[str, str] = {}
        """The incident of an identity."""

    def of(self, identities: Iterable[str]) -> str:
        """Give the id of the incident that identities belong to; empty while there is none."""
        return next((name for one in identities if (name := self._of.get(one, "")) in self.told), "")

    def add(self, alert: Open, finding: Finding, info: RuleInfo, identities: tuple[str, ...], now: int) -> list[Alert]:
        """Take in that a finding was added to an alert; gives the revisions to tell. ``now`` is the watermark."""
        if not identities or finding.level < Level.low:
            return []
        incident, told = self._joined(identities, finding, alert, now)
        new = self._take_in(incident, alert, finding, info, now)
        known = incident.id in self.told
        if not known and len(incident.rules) > 1:
            self.untold.pop(incident.id)
            told += self._make_room(self.told, MAX_TOLD)
            self.told[incident.id] = incident
        if incident.id in self.told:
            told += self._tell_if_due(incident, now, opens=not known, grave=new and alert.level >= Level.high)
        return told

    def expire(self, now: int) -> list[Alert]:
        """Close those that are over at ``now``."""
        if now < self.next_close:
            return []
        over = [one for one in (*self.untold.values(), *self.told.values()) if one.ends <= now]
        told = [revision for one in over for revision in self._close(one)]
        self.next_close = min((one.ends for one in (*self.untold.values(), *self.told.values())), default=NEVER)
        return told

    def close_all(self) -> list[Alert]:
        """Close every one, as at the end of an archive."""
        return [told for one in (*self.untold.values(), *self.told.values()) for told in self._close(one)]

    def _joined(
        self, identities: tuple[str, ...], finding: Finding, alert: Open, now: int
    ) -> tuple[Incident, list[Alert]]:
        """Give the one incident of all these identities: what was several until now is one from here on."""
        names = dict.fromkeys(name for one in identities if (name := self._of.get(one)))
        found = sorted((self._open(name) for name in names), key=lambda one: (one.opened_at, one.id))
        told: list[Alert] = []
        if found:
            incident, *others = found
            for other in others:
                told += self._close(other, into=incident)
        else:
            told += self._make_room(self.untold, MAX_UNTOLD)
            incident = _begun(make_id(self.cluster, RULE, alert.id, finding.id, str(finding.time)), finding, now)
            self.untold[incident.id] = incident
        for one in identities:
            if len(incident.identities) < IDENTITIES:
                incident.identities[one] = None
                self._of[one] = incident.id
        return incident, told

    def _open(self, name: str) -> Incident:
        return self.told.get(name) or self.untold[name]

    def _take_in(self, incident: Incident, alert: Open, finding: Finding, info: RuleInfo, now: int) -> bool:
        """Add a finding to an incident; tells whether its alert is new there, or worse than it was."""
        home = self.told if incident.id in self.told else self.untold
        home[incident.id] = home.pop(incident.id)
        incident.touched_at = now
        incident.count += finding.count
        incident.first_seen = min(incident.first_seen, finding.time if finding.since is None else finding.since)
        incident.last_seen = max(incident.last_seen, finding.time)
        self.next_close = min(self.next_close, incident.ends)
        incident.worst = max(incident.worst, alert.level)
        incident.reached[stage_of(info)] = None
        if any(fit(one, MAX_NAME) not in incident.audit_ids for one in finding.audit_ids):
            _list(incident.rules, (info.id,), MAX_LISTED)
        _list(incident.tactics, info.tactics, MAX_LISTED)
        _list(incident.techniques, info.techniques, MAX_LISTED)
        _list(incident.targets, finding.targets or (finding.target,), MAX_LISTED, MAX_SENTENCE)
        _list(incident.sources, finding.sources or (finding.source,), MAX_LISTED)
        _list(incident.audit_ids, finding.audit_ids, MAX_AUDIT_IDS)
        return _write(incident.chapters, alert, finding, info)

    def _tell_if_due(self, incident: Incident, now: int, *, opens: bool, grave: bool) -> list[Alert]:
        """Tell of an incident. Sinks that hear of incidents only must hear of what is ``grave`` in them."""
        rises = incident.risen > incident.level or grave
        incident.level = max(incident.level, incident.risen)
        if not (opens or rises or now >= incident.told_at + TELL):
            return []
        incident.told_at = now
        return [self._tell(incident, "opened" if opens else "raised" if rises else "updated")]

    def _make_room(self, home: dict[str, Incident], most: int) -> list[Alert]:
        if len(home) < most:
            return []
        self.evicted += 1
        return self._close(next(iter(home.values())))

    def _close(self, incident: Incident, into: Incident | None = None) -> list[Alert]:
        was_told = self.told.pop(incident.id, None) is not None
        self.untold.pop(incident.id, None)
        for one in incident.identities:
            del self._of[one]
        if into is not None:
            self._merge(incident, into)
        return [self._tell(incident, "closed", into)] if was_told else []

    def _merge(self, incident: Incident, into: Incident) -> None:
        for one in incident.identities:
            if len(into.identities) < IDENTITIES:
                into.identities[one] = None
                self._of[one] = into.id
        for name, chapter in incident.chapters.items():
            if _has_room(into.chapters, chapter.level):
                into.chapters[name] = chapter
        into.worst = max(into.worst, incident.worst)
        into.reached |= incident.reached
        into.count += incident.count
        into.first_seen = min(into.first_seen, incident.first_seen)
        into.last_seen = max(into.last_seen, incident.last_seen)
        for field in ("rules", "tactics", "techniques", "targets", "sources"):
            _list(getattr(into, field), getattr(incident, field), MAX_LISTED, MAX_SENTENCE)
        _list(into.audit_ids, incident.audit_ids, MAX_AUDIT_IDS)

    def _tell(self, incident: Incident, change: str, into: Incident | None = None) -> Alert:
        incident.revision += 1
        story = tuple(sorted(incident.chapters.values(), key=lambda chapter: (chapter.time, chapter.alert)))
        return Alert(
            id=incident.id,
            revision=incident.revision,
            status="closed" if change == "closed" else "open",
            change=change,
            level=incident.level,
            title=_title(incident),
            rule=_info(incident),
            cluster=self.cluster,
            actor=incident.actor,
            actor_kind=incident.actor_kind,
            targets=tuple(incident.targets),
            sources=tuple(incident.sources),
            first_seen=incident.first_seen,
            last_seen=incident.last_seen,
            count=incident.count,
            reasons=(),
            audit_ids=tuple(incident.audit_ids),
            samples=(),
            message=f"It goes on as incident {into.id}." if into else _in_short(story),
            incident=into.id if into else "",
            kind="incident",
            story=story,
        )

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"told": list(self.told.values()), "untold": list(self.untold.values()), "evicted": self.evicted}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.told, self.untold = (
            {one.id: one for one in msgspec.convert(state[home], list[Incident])} for home in ("told", "untold")
        )
        self.evicted = state["evicted"]
        everything = (*self.told.values(), *self.untold.values())
        self._of = {identity: one.id for one in everything for identity in one.identities}
        self.next_close = min((one.ends for one in everything), default=NEVER)


def _begun(name: str, finding: Finding, now: int) -> Incident:
    return Incident(
        id=name,
        opened_at=now,
        touched_at=now,
        first_seen=finding.time,
        last_seen=finding.time,
        actor=fit(finding.actor, MAX_NAME),
        actor_kind=finding.actor_kind,
    )


def _write(chapters: dict[str, Chapter], alert: Open, finding: Finding, info: RuleInfo) -> bool:
    """Write an alert into a story; tells whether it is new there, or worse than it was."""
    known = chapters.get(alert.id)
    if known is not None and alert.level <= known.level:
        return False
    if known is not None:
        chapters[alert.id] = msgspec.structs.replace(known, level=alert.level)
    elif _has_room(chapters, alert.level):
        chapters[alert.id] = _chapter(alert, finding, info)
    return known is not None or alert.count == finding.count


def _has_room(chapters: dict[str, Chapter], level: Level) -> bool:
    """Make room for a chapter of a level: the last of those that matter least goes, if they matter less."""
    if len(chapters) < CHAPTERS:
        return True
    least = min(reversed(chapters), key=lambda name: chapters[name].level)
    if chapters[least].level >= level:
        return False
    del chapters[least]
    return True


def _chapter(alert: Open, finding: Finding, info: RuleInfo) -> Chapter:
    return Chapter(
        time=finding.time,
        alert=alert.id,
        level=alert.level,
        stage=stage_of(info),
        title=info.title,
        actor=alert.actor,
        target=fit(finding.target, MAX_SENTENCE),
        message=alert.message,
    )


def stage_of(info: RuleInfo) -> str:
    """Give how far an attacker is who does what a rule is about: by the first of its tactics."""
    return next((_STAGE_OF.get(tactic, "access") for tactic in info.tactics), "access")


def _list(into: dict[str, None], texts: Iterable[str], most: int, longest: int = MAX_NAME) -> None:
    for text in texts:
        if text and len(into) < most:
            into[fit(text, longest)] = None


def _title(incident: Incident) -> str:
    return f"Incident: {_and(incident.stages)}"


def _info(incident: Incident) -> RuleInfo:
    return RuleInfo(
        id=RULE,
        title="Incident",
        level=incident.level,
        description=DESCRIPTION,
        author="redshank",
        tactics=tuple(incident.tactics),
        techniques=tuple(incident.techniques),
        runbook=RUNBOOK,
    )


def _in_short(story: tuple[Chapter, ...]) -> str:
    told = [f"{chapter.title} ({chapter.actor or 'nobody named'})" for chapter in story[:SENTENCES]]
    left = len(story) - len(told)
    return "; then ".join(told) + (f"; and {left} more" if left else "") + "."


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
