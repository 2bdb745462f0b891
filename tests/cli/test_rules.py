"""``redshank rules`` and the rest of the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from detector import __version__
from detector.cli.run import run
from tests.cli.running import log_at, redshank, rules_at, secret_read
from tests.support import LOGSOURCE, correlation, rule

Capture = pytest.CaptureFixture[str]
ID = "7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a0"


@pytest.fixture
def only(tmp_path: Path) -> list[str]:
    return ["--rules", str(rules_at(tmp_path)), "--no-builtin-rules"]


def test_version() -> None:
    assert redshank("--version").stdout == f"redshank {__version__}\n"


def test_help_groups_the_commands(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "Look at logs" in shown
    assert "replay" in shown
    assert "Work with rules" in shown


@pytest.mark.parametrize("arguments", [[], ["rules"]])
def test_a_bare_command_shows_its_help(arguments: list[str], capsys: Capture) -> None:
    assert run(arguments) == 3
    shown = capsys.readouterr()
    assert "Usage: redshank" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("arguments", [["bogus"], ["rules", "bogus"], ["rules", "show"], ["--bogus"]])
def test_usage_errors_are_3(arguments: list[str], capsys: Capture) -> None:
    assert run(arguments) == 3
    assert "--help" in capsys.readouterr().err


def test_list(only: list[str], capsys: Capture) -> None:
    assert run(["rules", "list", *only]) == 0
    assert "7d9d2f62 HIGH     core     Secret read  T1552.007" in capsys.readouterr().out
    assert run(["rules", "list", *only, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["level"], listed["kind"]) == (ID, "high", "rule")


def test_list_chooses(tmp_path: Path, capsys: Capture) -> None:
    tags, ours = ["attack.credential-access", "attack.t1552.007"], {"answers": ["secret-get"], "pack": "extended"}
    path = rules_at(
        tmp_path,
        rule("Secret read", level="high", tags=tags, redshank=ours),
        rule("Pod made", level="low", tags=["attack.execution"], description="A new pod."),
        {
            "title": "Not the backup",
            "logsource": LOGSOURCE,
            "filter": {"rules": "any", "jane": {"actor": "jane"}, "condition": "not jane"},
        },
    )
    only = ["--rules", str(path), "--no-builtin-rules"]
    wanted: list[tuple[list[str], list[str]]] = [
        ([], ["Secret read", "Pod made", "Not the backup"]),
        (["--level", "medium"], ["Secret read"]),
        (["--level", "LOW"], ["Secret read", "Pod made"]),
        (["--pack", "core"], ["Pod made"]),
        (["--pack", "core,extended"], ["Secret read", "Pod made"]),
        (["--tactic", "Credential Access"], ["Secret read"]),
        (["--technique", "t1552"], ["Secret read"]),
        (["--tag", "attack.execution"], ["Pod made"]),
        (["--tag", "attack"], ["Secret read", "Pod made"]),
        (["--answers", "secret-get"], ["Secret read"]),
        (["NEW", "pod"], ["Pod made"]),
        (["backup"], ["Not the backup"]),
        (["backup", "--level", "low"], []),
    ]
    for flags, titles in wanted:
        assert run(["rules", "list", *flags, *only, "--json"]) == 0
        assert [one["title"] for one in json.loads(capsys.readouterr().out)] == titles, flags
    assert run(["rules", "list", "new", *only]) == 0
    shown = capsys.readouterr().out
    assert "Pod made" in shown
    assert "Secret" not in shown
    assert "1 of 3 are like that" in shown


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--level", "huge"], "--level: unknown level 'huge'"),
        (["--pack", "cor"], "--pack: unknown pack 'cor'"),
        (["--tactic", "credential-acces"], "did you mean credential-access?"),
        (["--tactic", "x"], "choose from reconnaissance,"),
        (["--technique", "1552"], "T1552 or T1552.007"),
    ],
)
def test_list_refuses_what_cannot_be(flags: list[str], said: str, capsys: Capture) -> None:
    assert run(["rules", "list", *flags]) == 3
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("reference", [ID, "7d9d", "Secret_read", "secret read", "rules.yml", "ecret"])
def test_show_finds_a_rule_by_what_people_call_it(only: list[str], reference: str, capsys: Capture) -> None:
    assert run(["rules", "show", reference, *only]) == 0
    shown = capsys.readouterr().out
    for said in (
        ID,
        "Somebody read a secret.",
        "{actor} read {target}",
        "1. Ask them.",
        "Everyday work.",
        "objectRef.resource: secrets",
    ):
        assert said in shown


def test_show_says_how_rules_hang_together(tmp_path: Path, capsys: Capture) -> None:
    path = rules_at(
        tmp_path, rule("Base", level="low"), correlation("Many", "event_count", ["Base"], {"gte": 3}), name="two.yml"
    )
    assert run(["rules", "show", "Base", "--rules", str(path), "--no-builtin-rules"]) == 0
    assert "counted by" in capsys.readouterr().out
    assert run(["rules", "show", "Many", "--rules", str(path), "--no-builtin-rules"]) == 0
    assert "counts" in capsys.readouterr().out


@pytest.mark.parametrize(("reference", "said"), [("nonesuch", "no rule"), ("secret", "may be")])
def test_a_reference_to_no_rule_or_many_is_3(reference: str, said: str, capsys: Capture) -> None:
    assert run(["rules", "show", reference]) == 3
    assert said in capsys.readouterr().err


def test_check_prints_located_problems(tmp_path: Path, capsys: Capture) -> None:
    bad = {"sel": {"sourceIPs": "10.0.0.1", "verb": "get"}, "condition": "sel"}
    path = rules_at(tmp_path, rule("Bad", bad, id=ID, level="low"), name="bad.yml")
    assert run(["rules", "check", str(path)]) == 2
    assert f"{path}:8:5: error: sourceIPs is the client's word" in capsys.readouterr().out
    assert run(["rules", "check", str(path), "--json"]) == 2
    assert {problem["severity"] for problem in json.loads(capsys.readouterr().out)} == {"error", "warning", "note"}


@pytest.mark.parametrize("value", [{"object.name|re": "(?=x)"}, {"object.name": "a" + "?" * 100_000}])
def test_a_bad_pattern_is_complained_about_once_and_by_us(tmp_path: Path, value: dict[str, str]) -> None:
    """RE2 would print its own words on stderr, below Python's reach."""
    path = rules_at(tmp_path, rule("Bad", {"sel": value, "condition": "sel"}, id=ID, level="low"))
    done = redshank("rules", "check", path)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.count("regular expression") == 1


def test_check_tells_the_mistakes_of_all_files_also_of_unreadable_ones(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.yml").write_bytes(b"title: X\ndescription: \xe4\n")
    (tmp_path / "b.yml").write_text("title: [\n")
    (tmp_path / "c.yml").write_text("title: X\n---\ntitle: 5\n")
    assert run(["rules", "check", str(tmp_path)]) == 2
    shown = capsys.readouterr().out
    for place in ("a.yml:2:14: error: cannot read: this is not UTF-8", "b.yml:2:1: error: not YAML"):
        assert f"{tmp_path}/{place}" in shown
    for place in ("c.yml:1:1: error: detection is missing", "c.yml:3:8: error: Sigma rule title must be a string"):
        assert f"{tmp_path}/{place}" in shown


def test_check_fails_on_warnings_where_asked(tmp_path: Path, capsys: Capture) -> None:
    path = rules_at(tmp_path)
    assert run(["rules", "check", str(path)]) == 0
    assert run(["rules", "check", str(path), "--strict"]) == 2
    assert "1 file: 0 errors, 1 warning, 1 note" in capsys.readouterr().out


def test_check_and_test_find_nothing_wrong_with_the_built_in_rules(capsys: Capture) -> None:
    assert run(["rules", "check", "--strict"]) == 0
    assert ": 0 errors, 0 warnings, 0 notes" in capsys.readouterr().out
    assert run(["rules", "test"]) == 0
    assert " 0 failed" in capsys.readouterr().out


def test_test_prints_failures_with_their_place(tmp_path: Path, capsys: Capture) -> None:
    tests = {"match": [{"event": {"verb": "list"}}], "ignore": [{"event": {"verb": "list"}}]}
    path = rules_at(tmp_path, rule("Wrong", id=ID, level="low", redshank={"tests": tests}), name="wrong.yml")
    assert run(["rules", "test", str(path)]) == 2
    shown = capsys.readouterr().out
    assert f"{path}:14:3: Wrong: test match 1: the rule does not fire" in shown
    assert "1 rule: 1 test passed, 1 failed; 1 rule with too few tests" in shown
    assert run(["rules", "test", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["failed"][0]["line"] == 14


def test_explain_shows_what_each_question_saw(tmp_path: Path, only: list[str], capsys: Capture) -> None:
    log = log_at(tmp_path, secret_read(0), secret_read(1, verb="list"))
    assert run(["rules", "explain", "7d9d", str(log), *only]) == 0
    shown = capsys.readouterr().out
    assert "+ Secret read: holds" in shown
    assert "x Secret read: does not hold" in shown
    assert "x verb: equal get -> list" in shown
    assert run(["rules", "explain", "7d9d", str(log), *only, "--json"]) == 0
    assert [json.loads(line)["passed"] for line in capsys.readouterr().out.splitlines()] == [True, False]


def test_explain_of_a_correlation_asks_its_base_rules(tmp_path: Path, capsys: Capture) -> None:
    path = rules_at(tmp_path, rule("Base"), correlation("Many", "event_count", ["Base"], {"gte": 3}), name="two.yml")
    log = log_at(tmp_path, secret_read(0))
    assert run(["rules", "explain", "Many", str(log), "--rules", str(path), "--no-builtin-rules"]) == 0
    shown = capsys.readouterr().out
    assert "event_count: at least 3 within 10 s by actor" in shown
    assert "+ Base: holds" in shown


def test_explain_chooses_events(tmp_path: Path, only: list[str], capsys: Capture) -> None:
    log = log_at(tmp_path, secret_read(0), secret_read(1, verb="list"), secret_read(2))
    explain = ["rules", "explain", "7d9d", str(log), *only, "--json"]
    for flags, ids in [(["--matching"], ["test-0", "test-2"]), (["--audit-id", "test-1"], ["test-1"])]:
        assert run([*explain, *flags]) == 0
        assert [json.loads(line)["audit_id"] for line in capsys.readouterr().out.splitlines()] == ids
    assert run([*explain, "--audit-id", "test-1", "--matching"]) == 2
    assert "holds of no event with the audit ID test-1" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [False, True])
def test_explain_takes_the_event_of_a_line(tmp_path: Path, only: list[str], packed: bool, capsys: Capture) -> None:
    events = [secret_read(number, userAgent="x" * 40_000) for number in range(12)]
    log = log_at(tmp_path, *events, b"", b"no event")
    if packed:
        log.write_bytes(gzip.compress(log.read_bytes()))
    for line in (1, 5, 12):
        assert run(["rules", "explain", "7d9d", str(log), "--line", str(line), *only, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["audit_id"] == f"test-{line - 1}"
    for line in (13, 14, 99):
        assert run(["rules", "explain", "7d9d", str(log), "--line", str(line), *only]) == 2
        assert f"no audit event in line {line} of {log}" in capsys.readouterr().err
    assert run(["rules", "explain", "7d9d", str(log), "--line", "0", *only]) == 3


def test_explain_of_many_events_says_how_to_choose(tmp_path: Path, only: list[str], capsys: Capture) -> None:
    explain = ["rules", "explain", "7d9d", str(log_at(tmp_path, *map(secret_read, range(12)))), *only]
    assert run(explain) == 0
    shown = capsys.readouterr().out
    assert shown.count("Secret read: holds") == 10
    assert "the first 10 events" in shown
    assert "--line N, --audit-id ID or --matching" in shown
    for flags in (["--json"], ["--matching", "--json"]):
        assert run([*explain, *flags]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 12
    assert run([*explain, "--matching"]) == 0
    assert capsys.readouterr().out.count("Secret read: holds") == 12


def test_explain_reads_alerts(tmp_path: Path, only: list[str], capsys: Capture) -> None:
    out = str(tmp_path / "alerts.jsonl")
    assert run(["replay", str(log_at(tmp_path, secret_read(0))), *only, "--out", out]) == 0
    capsys.readouterr()
    for line in ([], ["--line", "1"]):
        assert run(["rules", "explain", "7d9d", out, *line, *only]) == 0
        assert "+ Secret read: holds" in capsys.readouterr().out
    assert run(["rules", "explain", "7d9d", out, "--line", "2", *only]) == 2


def test_rules_without_rules_are_3(tmp_path: Path) -> None:
    assert run(["rules", "list", "--no-builtin-rules"]) == 3
    assert run(["rules", "test", "--no-builtin-rules"]) == 3


def test_check_warns_of_a_file_without_a_rule(tmp_path: Path, capsys: Capture) -> None:
    empty = tmp_path / "empty.yml"
    for text in ("", "# nothing yet\n", "---\n"):
        empty.write_text(text)
        assert run(["rules", "check", str(empty)]) == 0
        assert f"{empty}:1:1: warning: no rule in it" in capsys.readouterr().out


def test_test_takes_the_flags_of_list(only: list[str], capsys: Capture) -> None:
    assert run(["rules", "test", *only]) == 0
    assert "1 rule: 0 tests passed" in capsys.readouterr().out


def test_explain_without_an_event_is_2(tmp_path: Path, only: list[str]) -> None:
    assert run(["rules", "explain", "7d9d", str(log_at(tmp_path)), *only]) == 2


def test_coverage_in_every_form(tmp_path: Path, only: list[str], capsys: Capture) -> None:
    layer = tmp_path / "layer.json"
    assert run(["rules", "coverage", *only]) == 0
    assert "Credential Access" in capsys.readouterr().out
    assert run(["rules", "coverage", *only, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["techniques"] == {"T1552.007": [ID]}
    assert run(["rules", "coverage", *only, "--markdown"]) == 0
    assert "| `T1552.007` | Secret read (high) |" in capsys.readouterr().out
    assert run(["rules", "coverage", *only, "--navigator", str(layer)]) == 0
    assert json.loads(layer.read_text())["versions"]["layer"] == "4.5"
    assert run(["rules", "coverage", *only, "--navigator", "/nonexistent/layer.json"]) == 3


def test_fields_in_every_form(capsys: Capture) -> None:
    assert run(["rules", "fields"]) == 0
    assert "actor.kind  text" in capsys.readouterr().out
    assert run(["rules", "fields", "--markdown"]) == 0
    assert "| `actor.kind` | text |" in capsys.readouterr().out
    assert run(["rules", "fields", "--json"]) == 0
    assert {"name", "shape", "doc"} == set(json.loads(capsys.readouterr().out)[0])
