"""The screen, compared with pages kept in tests/golden/; ``UPDATE_GOLDEN=1`` writes them anew, for you to read."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from detector.finding import Level
from detector.report.outcome import Outcome
from detector.report.screen import brief_line, draw
from detector.report.terminal import Page
from tests.report.making import alert, full_outcome, outcome

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def drawn(what: Outcome, full: int | None = 2, width: int = 80, *, rich: bool = False) -> str:
    file = io.StringIO()
    draw(Page(file, width, rich=rich), what, full)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_is_as_it_was_approved(width: int) -> None:
    path, page = GOLDEN / f"replay-{width}.txt", drawn(full_outcome(), width=width)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    assert max(map(len, drawn(full_outcome(), width=width).splitlines())) <= min(width, 120)


def test_a_terminal_shows_the_same_words_in_colour() -> None:
    page = drawn(full_outcome(), rich=True)
    assert "\x1b[1;37;41mCRITICAL" in page
    assert "▁" in page
    assert "\x1b[2J" not in page
    assert "[bold]x[/]" in page


def test_advice_is_given_once_for_each_rule() -> None:
    assert drawn(full_outcome()).count("1. Delete the binding.") == 1


def test_no_alerts_is_said_and_draws_no_empty_sections() -> None:
    page = drawn(outcome())
    assert "No alerts" in page
    assert "Who" not in page
    assert "--packs core,extended,hunting" in page


def test_alerts_below_the_level_are_counted() -> None:
    page = drawn(outcome(alert(), alert(1, Level.critical), level=Level.high))
    assert "(1 below high not shown)" in page
    assert "Command run" not in page


def test_an_interrupted_replay_says_so_first() -> None:
    made = outcome(alert())
    made.interrupted = True
    assert drawn(made).startswith("Interrupted")


def test_nobody_has_a_name_too() -> None:
    assert "(nobody named)" in drawn(outcome(alert(actor="", actor_kind="unauthenticated", sources=())))


def test_one_instant_draws_no_timeline() -> None:
    made = outcome(alert())
    made.summary.first = made.summary.last
    assert "When" not in drawn(made)


def test_the_brief_line() -> None:
    assert brief_line(outcome(alert())) == "61,066 events, 147 findings, 1 alert (1 low)"
    assert brief_line(outcome()) == "61,066 events, 147 findings, 0 alerts (none)"
