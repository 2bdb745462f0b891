"""Slack messages keep within Slack's limits, and what clients wrote neither mentions, links nor formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given

from detector.encodings import slack
from detector.finding import Alert, Reason
from tests.encodings.making import ALERTS, HOSTILE, MANY, alert

LIMITS = {"header": 150, "section": 3000, "field": 2000, "context": 3000}
ENTITY = re.compile("&(amp|lt|gt);")
LABEL = re.compile(r"\*(Actor|Cluster|Target|From|When|ATT&amp;CK|Why)\*")
WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC( to)?|events: \d+")


def texts(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the text objects of a message, and what they are part of."""
    for block in message["blocks"]:
        if "text" in block:
            yield block["type"], block["text"]
        yield from (("field", one) for one in block.get("fields", []))
        yield from (("context", one) for one in block.get("elements", []))


@MANY
@given(ALERTS)
def test_every_text_is_within_slacks_limits(one: Alert) -> None:
    message = slack.encode(one)
    assert len(message["blocks"]) <= 50
    assert all(len(block.get("fields", [])) <= 10 for block in message["blocks"])
    for place, text in texts(message):
        assert 0 < len(text["text"]) <= LIMITS[place]


@MANY
@given(ALERTS)
def test_no_text_has_a_live_mention_link_or_entity(one: Alert) -> None:
    message = slack.encode(one)
    for text in (message["text"], *(text["text"] for _, text in texts(message))):
        assert "<" not in text
        assert ">" not in text
        assert "&" not in ENTITY.sub("", text)
        assert text.replace("\n", "").isprintable()


@MANY
@given(ALERTS)
def test_formatted_texts_have_nothing_of_a_client_outside_code_spans(one: Alert) -> None:
    for _, text in texts(slack.encode(one)):
        if text["type"] == "plain_text":
            assert text["emoji"] is False
            continue
        assert text["verbatim"] is True
        for line in text["text"].split("\n"):
            outside = re.sub(r"`[^`\n]+`", "", line).removeprefix("• ")
            assert outside in {"", "–"} or LABEL.fullmatch(outside) or WHEN.fullmatch(outside), line


def test_hostile_text_is_told_nevertheless() -> None:
    actor = "<!channel> `a` *b*"
    message = slack.encode(alert(actor=actor, reasons=(Reason("s", "userAgent", HOSTILE[5]),)))
    shown = [text["text"] for _, text in texts(message)]
    assert "*Actor*\n`&lt;!channel&gt; 'a' *b* (human)`" in shown
    assert any("userAgent = &lt;!channel&gt; &lt;!here&gt;" in text for text in shown)


def test_a_long_title_is_cut_even_if_every_character_is_an_entity() -> None:
    header = slack.encode(alert(title="&" * 500))["blocks"][0]["text"]["text"]
    assert header.startswith("CRITICAL &amp;&amp;")
    assert header.endswith("…")


def test_a_closed_alert_says_so_first() -> None:
    assert slack.encode(alert(status="closed", change="closed"))["text"].startswith("closed: CRITICAL ")
