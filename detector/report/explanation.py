"""Why a rule holds of an event, or not: the tree of its questions with what each of them saw."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import orjson
from rich.table import Table
from rich.text import Text

from detector.encodings.jsontext import dumps
from detector.encodings.plain import cut, plain
from detector.errors import InputError
from detector.event import Event
from detector.fields import value_of
from detector.formats import decode_batch
from detector.redaction import blank
from detector.report.catalogue import Catalogue
from detector.report.terminal import Glyphs, Page, columns
from detector.sigma.document import Loaded
from detector.sigma.explain import Step, explain
from detector.sigma.predicate import Predicate
from detector.sigma.rule import Correlation, Exemption
from detector.sources.files import FileSource

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


class Choice(msgspec.Struct, frozen=True):
    """Which events of a file to explain."""

    path: str
    """A file of events, or of alerts as ``replay --out`` writes them; ``-`` is standard input."""
    audit_id: str = ""
    matching: bool = False
    """Only those on which the rule holds."""


def start(page: Page, catalogue: Catalogue, one: Loaded, choice: Choice, *, quiet: bool) -> Iterator[Explanation]:
    """Explain the events of a file, secrets blanked first as in detection. Raises InputError where there is none."""
    correlation = counting(catalogue, one)
    if correlation and not quiet:
        print_counting(page, correlation)
    chosen = asked = 0
    for event in _events(choice.path, one.id):
        if choice.audit_id and event.auditID != choice.audit_id:
            continue
        asked += 1
        for each in explained(catalogue, one, [blank(event)]):
            if each.tree.passed or not choice.matching:
                chosen += 1
                yield each
    if not chosen:
        raise InputError(_nothing(choice, asked))


def _nothing(choice: Choice, asked: int) -> str:
    """Say why nothing was explained."""
    which = f"with the audit ID {choice.audit_id} " if choice.audit_id else ""
    if asked:
        return f"the rule holds of no event {which}in {choice.path}"
    return f"no audit event {which}in {choice.path}"


def _events(path: str, rule: str) -> Iterator[Event]:
    """Give the events of a file; of a file of alerts the samples, those of the rule's own alerts where it has any."""
    if not _holds_alerts(path):
        for batch in FileSource([path]):
            yield from batch.events
        return
    own = any(alert["rule"]["id"] == rule for alert in _alerts(path))
    for alert in _alerts(path):
        if not own or alert["rule"]["id"] == rule:
            for sample in alert["samples"]:
                yield from decode_batch(dumps(sample)).events


def _holds_alerts(path: str) -> bool:
    return os.path.isfile(path) and next(_alerts(path), None) is not None


def _alerts(path: str) -> Iterator[dict[str, Any]]:
    """Give the alerts of a file, up to the first line that is none."""
    with open(path, "rb") as lines:
        for line in lines:
            alert = _alert(line)
            if alert is None:
                return
            yield alert


def _alert(line: bytes) -> dict[str, Any] | None:
    try:
        read = orjson.loads(line)
        known = isinstance(read["samples"], list) and isinstance(read["rule"]["id"], str)
    except (ValueError, KeyError, TypeError):
        return None
    return read if known else None


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
