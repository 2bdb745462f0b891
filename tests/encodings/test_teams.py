"""Teams gets an Adaptive Card in which nothing a client wrote is read as Markdown."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from detector.encodings import teams
from detector.finding import Alert, Level, Reason
from tests.encodings.making import ALERTS, HOSTILE, MANY, alert

RUN = {"type", "text", "size", "weight", "color", "isSubtle"}
"""https://adaptivecards.io/explorer/TextRun.html"""


def card(one: Alert) -> dict[str, Any]:
    message = teams.encode(one)
    assert message["type"] == "message"
    [attachment] = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    content: dict[str, Any] = attachment["content"]
    return content


def runs(one: Alert) -> list[dict[str, Any]]:
    return [run for block in card(one)["body"] for run in block["inlines"]]


def test_the_card_is_of_a_version_teams_shows() -> None:
    content = card(alert())
    assert (content["type"], content["version"]) == ("AdaptiveCard", "1.4")
    assert content["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json"


@MANY
@given(ALERTS)
def test_every_text_is_a_text_run_on_one_line(one: Alert) -> None:
    assert {block["type"] for block in card(one)["body"]} == {"RichTextBlock"}
    for run in runs(one):
        assert run["type"] == "TextRun"
        assert {*run} <= RUN
        assert run["text"].isprintable()
        assert run["text"]


def test_markdown_and_mentions_are_told_as_they_are() -> None:
    said = [
        run["text"] for run in runs(alert(actor="<at>all</at>", reasons=(Reason("s", "f", "[a](https://b) **c**"),)))
    ]
    assert "<at>all</at> (human)" in said
    assert "f = [a](https://b) **c**" in said


def test_nothing_but_text_is_shown() -> None:
    content = card(alert(actor=HOSTILE[6]))
    assert "actions" not in content
    assert "entities" not in content["msteams"]


def test_colours_tell_grave_levels_from_others() -> None:
    colours = {level: runs(alert(level=level))[0]["color"] for level in Level}
    assert colours[Level.critical] == colours[Level.high] == "Attention"
    assert len({*colours.values()}) == 4
