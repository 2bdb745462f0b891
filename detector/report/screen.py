"""The replay summary as one screen: what came in, who stands out, each alert with its why, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from detector.encodings.plain import plain
from detector.event import SECOND
from detector.finding import Alert, Level
from detector.report.actors import Actor
from detector.report.alert import in_brief, in_full, kind, name, origin, story
from detector.report.outcome import Outcome
from detector.report.terminal import STYLES, Glyphs, Page, badge, columns, heading
from detector.report.words import clock, count, day, duration, level_counts, number, period, size

ACTORS = 8
INCIDENTS = 5
STORY = 4
"""Different things told of each actor."""
MARGIN = 21
"""Columns before the words of an alert in one line."""
BRIEF = 30
"""Alerts in one line each, after those in full."""


def draw(page: Page, outcome: Outcome, full: int | None) -> None:
    """Print the screen, with ``full`` alerts in full (None: all)."""
    glyphs = page.glyphs
    page.print(*head(outcome, glyphs))
    if outcome.summary.shown:
        page.print(*_when(outcome, page), *_incidents(outcome, page), *_who(outcome, page), *_tactics(outcome, glyphs))
        page.print(*_alerts(outcome, page, full))
    page.print(*_unread(outcome), *_hints(outcome, glyphs, full))


def head(outcome: Outcome, glyphs: Glyphs) -> Iterator[RenderableType]:
    """Say in three lines what came in and what came out."""
    summary, counters = outcome.summary, outcome.counters
    if outcome.interrupted:
        yield Text("Interrupted: this is what was found so far.", "bold yellow")
    funnel = [events(outcome), count(counters.findings, "finding"), count(summary.total, "alert")]
    if stories := summary.incidents.total():
        funnel.append(count(stories, "incident"))
    yield Text(f" {glyphs.arrow} ".join(funnel), "bold")
    if summary.first is not None and summary.last is not None:
        span = duration(summary.last - summary.first)
        yield Text(f"{period(summary.first, summary.last, glyphs.dash)} ({span})")
    read = f"{count(len(outcome.files), 'file')}, {size(outcome.bytes_read)}"
    yield Text(f"{read} {glyphs.dot} {count(outcome.rules, 'rule')} of {', '.join(outcome.packs)}", "dim")
    yield _levels(outcome, glyphs)
    if unreadable := outcome.unreadable():
        yield Text(unreadable, "yellow")


def events(outcome: Outcome) -> str:
    """Count the events, and the duplicates apart."""
    again = outcome.counters.duplicates
    return count(outcome.different, "event") + (f" ({count(again, 'duplicate')} left out)" if again else "")


def _levels(outcome: Outcome, glyphs: Glyphs) -> Text:
    summary = outcome.summary
    if not summary.total:
        return Text("No alerts: none of the rules held.", "bold green")
    parts = [(f"{number(n)} {level.name}", STYLES[level]) for level, n in sorted(summary.levels.items(), reverse=True)]
    line = Text(f" {glyphs.dot} ").join(Text(*part) for part in parts)
    if not summary.shown:
        return Text.assemble((f"Nothing at {summary.level.name} or above.", "bold green"), "  (", line, " not shown)")
    if below := summary.total - summary.shown:
        line.append(f"  ({number(below)} below {summary.level.name} not shown)", "dim")
    return line


def _when(outcome: Outcome, page: Page) -> Iterator[RenderableType]:
    """Draw the alerts over time as bars, coloured by the highest level in each."""
    summary = outcome.summary
    if summary.first is None or summary.last is None or summary.last - summary.first < SECOND:
        return
    width = min(page.width, 80) - 2
    bars = summary.timeline.bars(summary.first, summary.last, width)
    most = max(n for n, _ in bars)
    marks = page.glyphs.bars
    step = duration((summary.last - summary.first) // width)
    yield heading("When", f"a column is {step}; at most {count(most, 'alert')} in one")
    line = Text("  ")
    for n, level in bars:
        line.append(marks[-(-n * (len(marks) - 1) // most)] if n else page.glyphs.floor, STYLES[level] if n else "dim")
    yield line
    dated = day(summary.first) != day(summary.last)
    start, end = clock(summary.first, dated=dated), clock(summary.last, dated=dated)
    yield Text(f"  {start}{end:>{width - len(start)}}", "dim")


def _incidents(outcome: Outcome, page: Page) -> Iterator[RenderableType]:
    """Tell the most severe stories, the most severe first."""
    stories = outcome.summary.stories()
    if not stories:
        return
    left = len(stories) - INCIDENTS
    aside = f"the first {INCIDENTS} of {number(len(stories))}" if left > 0 else "alerts of one chain of actors"
    yield heading("Incidents", aside)
    for incident in stories[:INCIDENTS]:
        yield from story(incident, page.glyphs, fold=not page.terminal)


def _who(outcome: Outcome, page: Page) -> Iterator[RenderableType]:
    """Tell the most severe actors with what they did, the most severe first."""
    actors = outcome.summary.actors
    left = len(actors) - ACTORS
    yield heading("Who", f"the first {ACTORS} of {count(len(actors), 'actor')}" if left > 0 else "")
    for actor in actors.top(ACTORS):
        yield from _actor(actor, page)


def _actor(actor: Actor, page: Page) -> Iterator[RenderableType]:
    told = f"{kind(actor.name, actor.kind)}: {count(actor.alerts, 'alert')}"
    what = Text.assemble((name(actor.name), "bold"), told, (origin(actor.sources, 2), "dim"))
    yield columns([(badge(actor.level), what)], 8, indent=3, fold=not page.terminal)
    acts = [
        (Text(), Text(clock(time), "dim"), Text(plain(title), STYLES[level] if level >= Level.high else ""))
        for title, time, level in actor.story(STORY)
    ]
    if (more := len(actor.acts) - STORY) > 0:
        acts.append((Text(), Text(), Text(f"and {more} more", "dim")))
    yield columns(acts, 8, 8, indent=3, fold=not page.terminal)


def _tactics(outcome: Outcome, glyphs: Glyphs) -> Iterator[RenderableType]:
    tactics = outcome.summary.tactics()
    if tactics:
        yield heading("ATT&CK tactics", "alerts of each")
        line = Text(f" {glyphs.dot} ").join(Text(f"{plain(name)} {number(n)}") for name, n in tactics)
        yield columns([(line,)], indent=3)


def _alerts(outcome: Outcome, page: Page, full: int | None) -> Iterator[RenderableType]:
    summary, glyphs = outcome.summary, page.glyphs
    best = summary.best()
    first = best if full is None else best[:full]
    brief = best[len(first) : len(first) + BRIEF]
    aside = f"{number(len(first))} of {number(summary.shown)} in full, the most severe first"
    yield heading("Alerts", aside if len(first) < summary.shown else "")
    advised: set[str] = set()
    for alert in first:
        yield from in_full(alert, glyphs, advice=alert.rule.id not in advised)
        advised.add(alert.rule.id)
    if brief:
        yield heading("More alerts")
        yield columns(
            (in_brief(alert, glyphs, page.width - MARGIN) for alert in brief), 8, 8, indent=3, fold=not page.terminal
        )
    yield from _counted(outcome, [*first, *brief])


def _counted(outcome: Outcome, shown: list[Alert]) -> Iterator[RenderableType]:
    """Count the alerts that are not shown at all, by rule."""
    seen = Counter(alert.rule.id for alert in shown)
    left = [
        (entry.alerts - seen[id_], entry) for id_, entry in outcome.summary.rules.items() if entry.alerts > seen[id_]
    ]
    if not left:
        return
    yield heading("And further", count(sum(n for n, _ in left), "alert"))
    rows = sorted(left, key=lambda item: (-item[1].level, -item[0], item[1].rule.title))
    yield columns([(badge(entry.level), number(n), Text(plain(entry.rule.title))) for n, entry in rows], 8, 7, indent=3)


def _unread(outcome: Outcome) -> Iterator[RenderableType]:
    """Say what was not read, or not read as it stands; nothing is silent."""
    rows = list(outcome.doubts())
    if rows:
        yield heading("What to know about the input")
        yield columns([(number(n), what) for n, what in rows], 7, indent=3)


def _hints(outcome: Outcome, glyphs: Glyphs, full: int | None) -> Iterator[RenderableType]:
    """Say what can be done next with this very replay."""
    hints = list(outcome.hints(full))
    if hints:
        yield heading("Next")
    for do, why in hints:
        yield columns(
            [(Text(glyphs.bullet, "dim"), Text.assemble((plain(do), "bold"), "  ", (plain(why), "dim")))], 1, indent=3
        )


def brief_line(outcome: Outcome) -> str:
    """Write the outcome as one line, for where the screen would be in the way."""
    counters, summary = outcome.counters, outcome.summary
    levels = level_counts(dict(summary.levels), ",") or "none"
    return f"{events(outcome)}, {count(counters.findings, 'finding')}, {count(summary.total, 'alert')} ({levels})"
