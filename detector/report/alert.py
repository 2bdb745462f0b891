"""One alert as a person reads it: who did what to what, why it is one, and what to do next."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rich.console import RenderableType
from rich.text import Text

from detector.encodings.plain import cut, plain
from detector.event import SECOND
from detector.finding import Alert, Reason
from detector.report.terminal import Glyphs, badge, columns
from detector.report.words import clock, count, duration, number

LONGEST = 160
"""Longest value shown in a reason."""
SHORT = 60
"""Longest actor in a line."""
CHAPTERS = 8
"""Chapters of a story shown."""
LISTED = 3
"""Targets and addresses shown."""


def in_full(alert: Alert, glyphs: Glyphs, *, advice: bool = True) -> Iterator[RenderableType]:
    """Draw an alert with everything a person needs to judge it; ``advice`` is False where it was given before."""
    yield Text.assemble("\n", badge(alert.level), "  ", (plain(alert.title), "bold"))
    if alert.story:
        yield columns(_chapters(alert), 8, 8, 11, 8, indent=3)
    elif alert.message:
        yield columns([(alert.message,)], indent=3)
    yield columns(_lines(alert, glyphs, advice=advice), 11, indent=3, style="dim")


def _chapters(incident: Alert) -> Iterator[tuple[str | Text, ...]]:
    """Tell a story in full: how bad, when, how far by then, which alert (the beginning of its id), and what."""
    for one in incident.story:
        what = Text.assemble((plain(one.title), "bold"), f": {cut(one.actor, SHORT)} {cut(one.target, LONGEST)}")
        yield badge(one.level), clock(one.time), one.stage, one.alert[:8], what


def _lines(alert: Alert, glyphs: Glyphs, *, advice: bool) -> Iterator[tuple[str | Text, ...]]:
    yield "who", who(alert)
    yield from _targets(alert)
    yield "when", when(alert, glyphs)
    if alert.audit_ids:
        more = len(alert.audit_ids) - 1
        yield "ids", cut(alert.audit_ids[0], LONGEST) + (f" and {number(more)} more" if more else "")
    yield from _why(alert, glyphs)
    if alert.incident:
        yield "part of", f"incident {alert.incident}"
    rule, between = alert.rule, f" {glyphs.dot} "
    if attack := [*rule.tactics, *rule.techniques, *rule.threat_matrix]:
        yield "attack", between.join(attack)
    if not advice:
        return
    if rule.guide:
        yield "guide", rule.guide
    if rule.falsepositives:
        yield "harmless if", between.join(rule.falsepositives)
    for index, step in enumerate(rule.runbook, start=1):
        yield "next" if index == 1 else "", f"{index}. {step}"


def _targets(alert: Alert) -> Iterator[tuple[str, str]]:
    for index, target in enumerate(alert.targets[:LISTED]):
        left = len(alert.targets) - LISTED
        more = f" and {left} more" if left > 0 and index == LISTED - 1 else ""
        yield "" if index else "target", cut(target, LONGEST) + more


def when(alert: Alert, glyphs: Glyphs) -> str:
    """Write when it began, how long it went on and how many events it stands on."""
    span = alert.last_seen - alert.first_seen
    lasted = f" for {duration(span)}" if span >= SECOND else ""
    zone = " UTC" if alert.first_seen > 0 else ""
    return f"{clock(alert.first_seen, dated=True)}{zone}{lasted} {glyphs.dot} {count(alert.count, 'event')}"


def who(alert: Alert) -> Text:
    """Write the actor, its kind and the addresses it came from."""
    return Text.assemble((name(alert.actor), "bold"), kind(alert.actor, alert.actor_kind), origin(alert.sources))


def name(actor: str) -> str:
    """Write an actor's name."""
    return cut(actor, LONGEST) or "(nobody named)"


def kind(actor: str, kind_: str) -> str:
    """Write an actor's kind in brackets, where the name does not say it already."""
    return f" ({plain(kind_)})" if kind_ and kind_ not in actor else ""


def origin(sources: Collection[str], most: int = LISTED) -> str:
    """Write the first addresses, and how many others there are."""
    shown = ", ".join(cut(source, 60) for source in list(sources)[:most])
    left = len(sources) - most
    return (f" from {shown}" if shown else "") + (f" and {left} more" if left > 0 else "")


def _why(alert: Alert, glyphs: Glyphs) -> Iterator[tuple[str, Text]]:
    """One line for each selection: the fields it looked at, and the values they had."""
    for index, (selection, reasons) in enumerate(by_selection(alert).items()):
        line = Text(f"{cut(selection, 40)}: " if selection else "", "dim")
        for position, reason in enumerate(reasons):
            line.append(f" {glyphs.dot} " if position else "", "dim")
            line.append(f"{cut(reason.field, LONGEST)} = ", "not dim")
            line.append(cut(reason.value, LONGEST), "bold not dim")
            line.append(f" ({plain(reason.wanted)})" if reason.wanted.startswith("at least") else "", "dim")
        yield "why" if index == 0 else "", line


def by_selection(alert: Alert) -> dict[str, list[Reason]]:
    """Sort the reasons by selection, each field and value told once, and the actor not again."""
    told: set[tuple[str, str]] = set()
    selections: dict[str, list[Reason]] = {}
    for reason in alert.reasons:
        again = reason.selection == "group-by" and reason.value in {alert.actor, *alert.sources}
        if (reason.field, reason.value) not in told and not again:
            told.add((reason.field, reason.value))
            selections.setdefault(reason.selection, []).append(reason)
    return selections


def in_brief(alert: Alert, glyphs: Glyphs, room: int) -> tuple[Text, ...]:
    """Write an alert as one line: level, time, and what it is; its title is never cut."""
    times = f" {glyphs.times}{alert.count}" if alert.count > 1 else ""
    target = f" {glyphs.arrow} {cut(alert.targets[0], 80)}" if alert.targets else ""
    left = max(room - len(alert.title), SHORT // 2)
    what = Text.assemble((cut(alert.title, LONGEST), "bold"), cut(f"{times}: {_short(alert)}{target}", left))
    return badge(alert.level), Text(clock(alert.first_seen), "dim"), what


def _short(alert: Alert) -> str:
    """Write the actor where there is little room."""
    return _account(alert.actor)


def _account(actor: str) -> str:
    account = actor.removeprefix("system:serviceaccount:")
    if account != actor:
        return cut(f"sa:{account.replace(':', '/')}", SHORT)
    return cut(actor, SHORT) or "(nobody named)"


def story(incident: Alert, glyphs: Glyphs, *, fold: bool = False) -> Iterator[RenderableType]:
    """Draw an incident: how far it went, and its chapters in the order of time."""
    told = f"  {when(incident, glyphs)} {glyphs.dot} {count(len(incident.story), 'alert')}"
    yield columns([(badge(incident.level), Text.assemble((plain(incident.title), "bold"), (told, "dim")))], 8, indent=3)
    lines = [
        (Text(), Text(clock(one.time), "dim"), Text.assemble(plain(one.title), (f": {_account(one.actor)}", "dim")))
        for one in incident.story[:CHAPTERS]
    ]
    if (more := len(incident.story) - CHAPTERS) > 0:
        lines.append((Text(), Text(), Text(f"and {more} more", "dim")))
    yield columns(lines, 8, 8, indent=3, fold=fold)
