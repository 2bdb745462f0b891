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
    assert max(map(len, drawn(full_outcome(), width=width).splitlines())) <= width


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


def test_nothing_at_the_level_is_said_and_no_empty_section_drawn() -> None:
    page = drawn(outcome(alert(), level=Level.high))
    assert "Nothing at high or above.  (1 low not shown)" in page
    assert "Next" not in page


def test_duplicates_are_no_events() -> None:
    assert drawn(outcome(duplicates=61_065)).startswith("1 event (61,065 duplicates left out) -> 147 findings")


def test_lines_say_what_before_who_and_cut_no_title_off_a_terminal() -> None:
    title = "A title that says quite a lot about what somebody has been doing to the cluster"
    made = outcome(alert(0, actor="system:serviceaccount:argocd:controller", actor_kind="serviceaccount", title=title))
    page = drawn(made, full=0)
    assert title in " ".join(page.split("More alerts")[1].split())
    assert ": sa:argocd/controller ->" in " ".join(page.split())


def test_no_time_is_not_1970() -> None:
    page = drawn(outcome(alert(first_seen=0, last_seen=0)))
    assert "1970" not in page
    assert "when        time unknown |" in page


def test_hints_can_be_typed_as_they_are() -> None:
    made = outcome(alert())
    made.paths, made.rule_flags = ["my logs"], ["--rules", "mine.yml"]
    page = " ".join(drawn(made).split())
    assert "redshank rules show 0f0b6c1e --rules mine.yml says" in page
    assert "redshank rules explain 0f0b6c1e 'my logs' --audit-id audit-0 --rules mine.yml" in page


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
