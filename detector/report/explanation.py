"""Why a rule holds of an event, or not: the tree of its questions with what each of them saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from detector.encodings.plain import cut, plain
from detector.errors import InputError
from detector.event import Event
from detector.fields import value_of
from detector.redaction import blank
from detector.report.catalogue import Catalogue
from detector.report.chosen import Choice, chosen
from detector.report.terminal import Glyphs, Page, columns
from detector.sigma.document import Loaded
from detector.sigma.explain import Step, explain
from detector.sigma.predicate import Predicate
from detector.sigma.rule import Correlation, Exemption

FIRST = 10
"""Events explained where none are chosen."""
MORE = (
    "These are the first {first} events of {path}. --line N, --audit-id ID or --matching choose others; "
    "--json gives them all."
)
LONGEST = 200
LABEL = 120
"""Longest question; rules may ask for dozens of values at once."""


class Explanation(msgspec.Struct, frozen=True):
    """What one rule (of a correlation: one of its base rules) makes of one event."""

    rule: str
    title: str
    audit_id: str
    event: str
    """The event in a few words."""
    tree: Step


def questions(catalogue: Catalogue, one: Loaded) -> list[tuple[str, str, Predicate]]:
    """Give id, title and predicate to explain: a rule's with its filters, a filter's, or those a correlation counts."""
    if isinstance(one.made, Exemption):
        return [(one.id, one.made.title, one.made.predicate)]
    correlation = counting(catalogue, one)
    ids = correlation.bases if correlation else (one.id,)
    return [(rule.info.id, rule.info.title, rule.whole) for rule in catalogue.rules.rules if rule.info.id in ids]


def counting(catalogue: Catalogue, one: Loaded) -> Correlation | None:
    """Give the correlation that a document holds, None when it holds a rule."""
    return next((each for each in catalogue.rules.correlations if each.info.id == one.id), None)


def start(page: Page, catalogue: Catalogue, one: Loaded, choice: Choice, *, quiet: bool) -> Iterator[Explanation]:
    """Explain the events of a file, secrets blanked first as in detection. Raises InputError where there is none.

    Unless ``quiet``, only the first `FIRST` where nothing is chosen, and the page says how to choose.
    """
    correlation = counting(catalogue, one)
    if correlation and not quiet:
        print_counting(page, correlation)
    told = asked = 0
    for event in chosen(choice, one.id):
        if choice.audit_id and event.auditID != choice.audit_id:
            continue
        if asked == FIRST and choice.open and not quiet:
            page.line(MORE.format(first=FIRST, path=plain(choice.path)))
            return
        asked += 1
        for each in explained(catalogue, one, [blank(event)]):
            if each.tree.passed or not choice.matching:
                told += 1
                yield each
    if not told:
        raise InputError(_nothing(choice, asked))


def _nothing(choice: Choice, asked: int) -> str:
    """Say why nothing was explained."""
    which = f"with the audit ID {choice.audit_id} " if choice.audit_id else ""
    where = f"line {choice.line} of {choice.path}" if choice.line else choice.path
    if asked:
        return f"the rule holds of no event {which}in {where}"
    return f"no audit event {which}in {where}"


def explained(catalogue: Catalogue, one: Loaded, events: Iterable[Event]) -> Iterator[Explanation]:
    """Explain each event in turn."""
    asked = questions(catalogue, one)
    for event in events:
        for id_, title, predicate in asked:
            tree = explain(predicate, event, event.time or 0)
            yield Explanation(id_, title, event.auditID or "", in_words(event), tree)


def in_words(event: Event) -> str:
    """Say in a few words what an event is: when, who, what."""
    parts = (event.stageTimestamp, value_of("actor", event), event.verb, value_of("target", event), event.stage)
    return " ".join(part for part in parts if part)


def print_counting(page: Page, correlation: Correlation) -> None:
    """Say what a correlation asks for, beside its base rules."""
    by = ", ".join(path.name for path in correlation.group_by[0]) if correlation.group_by else ""
    value = f" different {correlation.value[0].name}" if correlation.value else ""
    page.line(
        f"{correlation.kind}: at least {correlation.threshold}{value} within {correlation.span // 1_000_000} s"
        + (f" by {by}" if by else "")
        + "; each event below is asked whether it counts.",
    )


def print_explanation(page: Page, one: Explanation) -> None:
    """Print the tree of one event."""
    said = "holds" if one.tree.passed else "does not hold"
    page.line(cut(one.event, LONGEST), "dim")
    page.print(_line(one.tree, f"{one.title}: {said}", "", page.glyphs))
    steps = one.tree.steps or (one.tree,)
    page.print(*_steps(steps, "", page.glyphs))
    page.line("")


def _steps(steps: tuple[Step, ...], indent: str, glyphs: Glyphs) -> Iterator[Table]:
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        yield _line(step, _label(step.label), indent + (glyphs.last if last else glyphs.branch), glyphs)
        yield from _steps(step.steps, indent + ("   " if last else glyphs.pipe), glyphs)


def _line(step: Step, label: str, indent: str, glyphs: Glyphs) -> Table:
    mark = (glyphs.passed, "green") if step.passed else (glyphs.failed, "red")
    seen = (f" {glyphs.arrow} {plain(step.seen)}", "bold") if step.seen else ""
    return columns([(Text.assemble((indent, "dim"), mark), Text.assemble(cut(label, LABEL), seen))], len(indent) + 1)


def _label(label: str) -> str:
    """Say a question shorter: where the kind of question is in what is wanted, it need not be said twice."""
    for kind in ("exists", "re", "null"):
        label = label.replace(f": {kind} {kind}", f": {kind}", 1)
    return label


def as_record(one: Explanation) -> dict[str, Any]:
    """Give an explanation as plain JSON types."""
    record: dict[str, Any] = msgspec.to_builtins(one)
    return {**record, "passed": one.tree.passed}
