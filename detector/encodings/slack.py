"""Slack: a message of blocks, for incoming webhooks and ``chat.postMessage``.

https://docs.slack.dev/reference/block-kit/blocks: 50 blocks, a header of 150 characters, texts of 3,000, fields of
2,000, and, undocumented, some 13,000 in all. What clients wrote stands in code spans or plain text, so that it is
neither formatted nor linked, with ``&``, ``<`` and ``>`` as entities, so that it mentions nobody
(https://docs.slack.dev/messaging/formatting-message-text#escaping).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from detector.encodings.jsontext import fit
from detector.encodings.parts import LISTED, clock, reasons, said, some, steps, tactics, techniques
from detector.encodings.plain import cut
from detector.finding import Alert

NAME = "slack"
LIMIT = 12_000
HEADER = 150
SHORT = 24
"""So much of a title fits the header, however many entities it has."""
TEXT = 3000
FIELD = 2000
VALUE = 300
"""Longest value, in characters before escaping."""
TARGETS = 5
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_QUOTE = str.maketrans({"`": "'"})


def encode(alert: Alert) -> dict[str, Any]:
    """Give an alert as the body of a message."""
    return fit(lambda room: _message(alert, min(room, VALUE)), LIMIT)


def _message(alert: Alert, room: int) -> dict[str, Any]:
    return {
        "text": f"{_title(alert, room)}: {_escaped(said(alert), room)}",
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": list(_blocks(alert, room)),
    }


def _title(alert: Alert, room: int) -> str:
    state = "closed: " if alert.status == "closed" else ""
    return f"{state}{alert.level.name.upper()} {_escaped(alert.title, room)}"


def _blocks(alert: Alert, room: int) -> Iterator[dict[str, Any]]:
    titles = (_title(alert, min(room, most)) for most in (HEADER - SHORT, SHORT))
    yield {"type": "header", "text": _plain(next(title for title in titles if len(title) <= HEADER))}
    yield {"type": "section", "text": _plain(_escaped(said(alert), room))}
    yield {"type": "section", "fields": [_marked(_within(lines, FIELD)) for lines in _fields(alert, room)]}
    if alert.reasons:
        why = [f"• {_code(one, room)}" for one in reasons(alert)[:LISTED]]
        yield {"type": "section", "text": _marked(_within(["*Why*", *why], TEXT))}
    if alert.rule.runbook:
        what = [_escaped(one, room) for one in steps(alert.rule)[:LISTED]]
        yield {"type": "section", "text": _plain(_within(["What to do:", *what], TEXT))}
    told = f"alert {alert.id}, revision {alert.revision} ({alert.change})"
    yield {"type": "context", "elements": [_plain(told)]}


def _fields(alert: Alert, room: int) -> Iterator[list[str]]:
    kind = f" ({alert.actor_kind})" if alert.actor_kind else ""
    yield ["*Actor*", _code(f"{alert.actor}{kind}", room)]
    yield ["*Cluster*", _code(alert.cluster, room)]
    yield ["*Target*", *_codes(some(alert.targets, TARGETS), room)]
    yield ["*From*", *_codes(some(alert.sources, TARGETS), room)]
    yield ["*When*", f"{clock(alert.first_seen)} to", clock(alert.last_seen), f"events: {alert.count}"]
    attack = [f"{one.name} {one.id}" for one in tactics(alert.rule)] + [one.id for one in techniques(alert.rule)]
    yield ["*ATT&amp;CK*", *_codes(attack[:LISTED], room)]


def _within(lines: Sequence[str], longest: int) -> str:
    """Join whole lines up to a length, which Slack counts after escaping."""
    lengths = accumulate(len(line) + 1 for line in lines)
    return "\n".join(line for line, length in zip(lines, lengths, strict=True) if length <= longest)


def _codes(items: Iterable[str], room: int) -> list[str]:
    return [_code(one, room) for one in items] or ["–"]


def _code(text: str, room: int) -> str:
    """Give a text as a code span; it cannot end the span."""
    written = _escaped(text.translate(_QUOTE), room).strip()
    return f"`{written}`" if written else "–"


def _escaped(text: str, room: int) -> str:
    return cut(text, room).translate(_ENTITIES)


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text or "–", "emoji": False}


def _marked(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
