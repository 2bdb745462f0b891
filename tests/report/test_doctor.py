"""How the findings of `redshank doctor` are printed."""

from __future__ import annotations

import json

import pytest

from detector.report.doctor import Check, broken, ok, print_checks, warning
from tests.cli.running import HOSTILE

FINE = ok("disk", "80 GB are free")
ODD = warning("clock", "4 s ahead", "set it")
BAD = broken("sink siem", "connection refused", "see docs/sinks.md")


@pytest.mark.parametrize(
    ("checks", "code", "end"),
    [
        ([FINE], 0, "1 check: all fine"),
        ([FINE, ODD], 1, "2 checks: 1 warning"),
        ([ODD, ODD, BAD, broken("x", "y", "z")], 1, "4 checks: 2 broken, first sink siem; 2 warnings"),
    ],
)
def test_each_check_is_a_line_and_the_last_says_where_to_begin(
    checks: list[Check], code: int, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_checks(checks, json=False) == code
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (len(checks) + 1, end)
    if BAD in checks:
        assert "broken   sink siem: connection refused; next: see docs/sinks.md" in lines


def test_as_json_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_checks([FINE, BAD], json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["fine"], told["first_broken"]) == (False, "sink siem")
    assert told["checks"][0] == {"part": "disk", "verdict": "ok", "what": "80 GB are free", "todo": ""}


@pytest.mark.parametrize("as_json", [True, False])
def test_what_destinations_answered_does_not_act_on_the_terminal(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_checks([broken(f"sink {HOSTILE}", HOSTILE, HOSTILE)], json=as_json)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert all(line.isprintable() for line in printed.splitlines())
