"""``redshank rules import falco``: what it writes, prints and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from detector.cli.run import run
from tests.cli.running import log_at, redshank
from tests.falco.converting import LOCAL, RULES
from tests.support import raw

Capture = pytest.CaptureFixture[str]
COMMAND = ["rules", "import", "falco"]


def test_rules_go_to_stdout_and_what_is_lost_to_stderr(capsys: Capture) -> None:
    assert run([*COMMAND, str(RULES)]) == 0
    shown = capsys.readouterr()
    assert len(list(yaml.safe_load_all(shown.out))) == 9
    told = shown.err.splitlines()
    assert told[-1] == "9 of 12 rules converted"
    assert any("rule 'Never': it never holds because of known_here → never" in line for line in told)
    assert any("rule 'First image': note: " in line for line in told)


def test_written_rules_pass_the_check_and_run(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "imported"
    assert run([*COMMAND, str(RULES), "--out", str(out)]) == 0
    assert f"9 of 12 rules converted; they are in {out}" in capsys.readouterr().err
    assert len(list(out.glob("*.yml"))) == 9
    assert run(["rules", "check", str(out)]) == 0
    capsys.readouterr()
    log = log_at(tmp_path, raw(user={"username": "eve"}, objectRef={"resource": "pods", "name": "web"}))
    assert run(["replay", str(log), "--rules", str(out), "--no-builtin-rules", "--json"]) == 0
    (alert,) = json.loads(capsys.readouterr().out)["alerts"]
    assert alert["message"] == "A stranger at work (user=eve verb=get what=pods/web)"


def test_later_files_change_earlier_ones(capsys: Capture) -> None:
    assert run([*COMMAND, str(RULES), str(LOCAL), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    packs = {each["rule"]: each["pack"] for each in record["converted"]}
    assert (packs["Quiet"], packs["Stranger at work"]) == ("extended", "hunting")
    assert {"kind", "name", "path", "line", "column", "reason"} == set(record["refused"][0])


def test_files_that_differ_are_not_written_over_unless_told_to(tmp_path: Path, capsys: Capture) -> None:
    mine = tmp_path / "quiet.yml"
    mine.write_text("mine")
    assert run([*COMMAND, str(RULES), "--out", str(tmp_path)]) == 3
    assert "quiet.yml" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["quiet.yml"]
    assert run([*COMMAND, str(RULES), "--out", str(tmp_path), "--force"]) == 0
    assert mine.read_text() != "mine"
    assert run([*COMMAND, str(RULES), "--out", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a: [", "not YAML"),
        ("a: b", "a rules file of Falco is a list"),
        ("- macro: m\n  condition: a\n", "no rule of Falco in it"),
        ("- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: proc.name=x\n", "0 of 1 rule converted"),
    ],
)
def test_bad_input_is_2(tmp_path: Path, capsys: Capture, text: str, said: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    assert run([*COMMAND, str(path)]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_2(capsys: Capture) -> None:
    assert run([*COMMAND, "nowhere.yaml"]) == 2
    assert "nowhere.yaml: no such file or folder" in capsys.readouterr().err


def test_hostile_names_never_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        '- rule: "x\\e]0;owned\\a\\u202e"\n  desc: d\n  output: "\\e[31m"\n  priority: INFO\n'
        '  source: k8s_audit\n  condition: "no\\e[2Jthing"\n'
        '- rule: "y\\e[31m"\n  desc: "\\u202e"\n  output: "\\e[31m"\n  priority: INFO\n'
        "  source: k8s_audit\n  condition: ka.verb=get\n"
    )
    done = redshank(*COMMAND, path)
    assert done.returncode == 0
    for shown in (done.stdout, done.stderr):
        assert shown.isascii()
        assert "\x1b" not in shown
        assert "\a" not in shown
