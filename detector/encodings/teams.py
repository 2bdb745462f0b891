"""Microsoft Teams: an Adaptive Card for the Workflows webhook "Post to a channel when a webhook request is received".

https://adaptivecards.io/explorer/AdaptiveCard.html. Every text is a TextRun, the one element in which Teams reads no
Markdown, so that nothing a client wrote is formatted, linked or shown as an image. A message may have 28 KB
(https://learn.microsoft.com/microsoftteams/limits-specifications-teams); less than 21 KB has been seen to arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from detector.encodings.jsontext import fit
from detector.encodings.parts import LISTED, clock, reasons, said, some, steps, tactics, techniques
from detector.encodings.plain import cut
from detector.finding import Alert, Level

NAME = "teams"
LIMIT = 20_000
VALUE = 500
"""Longest value, in characters."""
TARGETS = 5
COLOURS = {
    Level.informational: "Default",
    Level.low: "Accent",
    Level.medium: "Warning",
    Level.high: "Attention",
    Level.critical: "Attention",
}


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as the body of a request."""
    return fit(lambda room: _message(alert, min(room, VALUE)), LIMIT)


def _message(alert: Alert, room: int) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": list(_body(alert, room)),
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(alert: Alert, room: int) -> Iterator[dict[str, Any]]:
    state = "closed: " if alert.status == "closed" else ""
    title = f"{state}{alert.level.name.upper()} {cut(alert.title, room)}"
    yield _block([_run(title, size="Large", weight="Bolder", color=COLOURS[alert.level])])
    yield _block([_run(cut(said(alert), room))])
    for label, values in _facts(alert):
        yield from _fact(label, values, room)
    told = f"alert {alert.id}, revision {alert.revision} ({alert.change})"
    yield _block([_run(told, size="Small", isSubtle=True)])


def _facts(alert: Alert) -> Iterator[tuple[str, list[str]]]:
    rule = alert.rule
    yield "Actor", [f"{alert.actor} ({alert.actor_kind})" if alert.actor_kind else alert.actor]
    yield "Cluster", [alert.cluster]
    yield "Target", some(alert.targets, TARGETS)
    yield "From", some(alert.sources, TARGETS)
    yield "When", [f"{clock(alert.first_seen)} to {clock(alert.last_seen)}, events: {alert.count}"]
    yield "ATT&CK", [", ".join(f"{one.name} {one.id}".strip() for one in [*tactics(rule), *techniques(rule)])]
    yield "Why", reasons(alert)
    yield "What to do", steps(rule)


def _fact(label: str, values: Iterable[str], room: int) -> Iterator[dict[str, Any]]:
    """Give a block for each value, the first with the label; none where there is nothing to tell."""
    shown = [written for one in values if (written := cut(one, room))][:LISTED]
    for index, one in enumerate(shown):
        yield _block([*([_run(f"{label}: ", weight="Bolder")] if index == 0 else []), _run(one)])


def _block(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}
