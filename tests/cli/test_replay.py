"""``redshank replay`` as a person or a script runs it: output, files, exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import COMMAND, HOSTILE, environment, log_at, redshank, rules_at, secret_read


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return log_at(tmp_path, *(secret_read(number) for number in range(3)))


@pytest.fixture
def only(tmp_path: Path) -> list[str]:
    """Flags for one rule and no others."""
    return ["--rules", str(rules_at(tmp_path)), "--no-builtin-rules"]


def test_the_screen_says_who_did_what_and_why(log: Path, only: list[str]) -> None:
    done = redshank("replay", log, *only)
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("3 events -> 3 findings -> 1 alert", "1 high", "jane@example.com", "objectRef.resource = secrets"):
        assert said in done.stdout
    for said in ("shop/secrets/db-0", "192.0.2.10", "T1552.007", "1. Ask them.", "--out alerts.jsonl"):
        assert said in done.stdout


def test_a_pipe_gets_plain_narrow_text(log: Path, only: list[str]) -> None:
    lines = redshank("replay", log, *only).stdout.splitlines()
    assert all(line.isascii() and len(line) <= 80 and line == line.rstrip() for line in lines)


def test_built_in_rules_are_used_without_flags(log: Path) -> None:
    done = redshank("replay", log)
    assert done.returncode == 0
    assert "rules of core, extended" in done.stdout


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ((), 0),
        (("--fail-on", "high"), 1),
        (("--fail-on", "critical"), 0),
        (("--fail-on", "HIGH", "--level", "critical"), 1),
    ],
)
def test_fail_on_decides_the_exit_code(log: Path, only: list[str], flags: tuple[str, ...], code: int) -> None:
    assert redshank("replay", log, *only, *flags).returncode == code


def test_level_hides_and_says_so(log: Path, only: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = redshank("replay", log, *only, "--level", "critical", "--out", out)
    assert "Nothing at critical or above.  (1 high not shown)" in done.stdout
    assert "jane" not in done.stdout
    assert out.read_bytes() == b""


def test_out_has_the_last_revision_of_every_alert(log: Path, only: list[str], tmp_path: Path) -> None:
    out = tmp_path / "alerts.jsonl"
    redshank("replay", log, *only, "--out", out)
    (alert,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (alert["status"], alert["count"], alert["level"], alert["actor"]) == (
        "closed",
        3,
        "high",
        "jane@example.com",
    )
    assert alert["first_seen"] == "2024-10-04T00:00:00.000000Z"
    assert alert["audit_ids"] == ["test-0", "test-1", "test-2"]
    assert alert["samples"][0]["objectRef"]["name"] == "db-0"
    assert out.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alerts.jsonl", "audit.jsonl", "rules.yml"]


def test_out_to_standard_output_leaves_the_screen_away(log: Path, only: list[str]) -> None:
    done = redshank("replay", log, *only, "--out", "-")
    assert json.loads(done.stdout)["count"] == 3
    assert done.stderr == "redshank: 3 events, 3 findings, 1 alert (1 high)\n"


def test_json_has_the_documented_keys(log: Path, only: list[str]) -> None:
    told = json.loads(redshank("replay", log, *only, "--json").stdout)
    assert list(told) == [
        *("version", "interrupted", "input", "counters", "first_event", "last_event"),
        *("rules", "alert_counts", "actors", "incidents", "alerts"),
    ]
    assert told["counters"]["events"] == 3
    assert told["first_event"] == "2024-10-04T00:00:00.000000Z"
    assert told["alert_counts"]["by_level"] == {"high": 1}
    assert told["alerts"][0]["rule"]["title"] == "Secret read"
    assert told["actors"][0]["titles"] == ["Secret read"]
    assert told["input"]["files"] == [str(log)]


def test_rejected_records_are_counted_with_their_places(tmp_path: Path, only: list[str]) -> None:
    done = redshank("replay", log_at(tmp_path, secret_read(0), b"{broken", b'{"no": "event"}'), *only)
    assert done.returncode == 0
    assert "audit.jsonl:2" in "".join(done.stdout.split())  # the path may be longer than a line
    assert "rejected:" in done.stdout


@pytest.mark.parametrize("flags", [["--json"], ["--out", "-"]])
def test_what_could_not_be_read_is_said_to_scripts_too(tmp_path: Path, only: list[str], flags: list[str]) -> None:
    log = log_at(tmp_path, secret_read(0), b"{broken")
    said = redshank("replay", log, *only, *flags).stderr.splitlines()[0]
    assert said.startswith("redshank: warning: 1 record could not be read: ")
    assert said.endswith(f"({log}:2)")


def test_standard_input(only: list[str]) -> None:
    done = redshank("replay", "-", *only, stdin=secret_read(0) + b"\n")
    assert "1 event -> 1 finding -> 1 alert" in done.stdout


@pytest.mark.parametrize(
    ("flags", "events"),
    [
        (["--since", "2024-10-04T00:00:01Z"], 2),
        (["--until", "2024-10-04T00:00:01Z"], 1),
        (["--since", "2024-10-04"], 3),
        (["--since", "1s"], 2),
        (["--since", "1h", "--until", "1s"], 1),
    ],
)
def test_times(log: Path, only: list[str], flags: list[str], events: int) -> None:
    told = json.loads(redshank("replay", log, *only, *flags, "--json").stdout)
    assert (told["counters"]["events"], told["input"]["outside"]) == (events, 3 - events)


WRONG_FLAGS: list[list[str]] = [
    ["--bogus"],
    ["--level", "severe"],
    ["--fail-on", "now"],
    ["--packs", "core,nonsense"],
    ["--since", "yesterday"],
    ["--json", "--out", "-"],
    ["--out", "/nonexistent/alerts.jsonl"],
    ["--no-builtin-rules"],
    ["--since", "2024-10-05", "--until", "2024-10-04"],
    ["--since", "1h", "--until", "2h"],
    ["--since", "1h", "--until", "2024-10-01"],
]


@pytest.mark.parametrize("flags", WRONG_FLAGS, ids=" ".join)
def test_wrong_flags_are_3(log: Path, flags: list[str]) -> None:
    done = redshank("replay", log, *flags)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("redshank: error: ")
    assert done.stderr.count("\n") == 1


def test_the_input_is_never_written_over(log: Path, only: list[str], tmp_path: Path) -> None:
    before = log.read_bytes()
    (tmp_path / "link").symlink_to(log)
    for path, out in [(log, log), (tmp_path / "*.jsonl", log), (tmp_path, log), (log, tmp_path / "link")]:
        done = redshank("replay", path, *only, "--out", out)
        assert (done.returncode, done.stderr.count("overwritten")) == (3, 1)
    assert log.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "link", "rules.yml"]


def test_a_replay_without_events_leaves_the_old_output(tmp_path: Path, only: list[str]) -> None:
    out = tmp_path / "alerts.jsonl"
    out.write_text("old")
    assert redshank("replay", log_at(tmp_path), *only, "--out", out).returncode == 2
    assert out.read_text() == "old"


@pytest.mark.parametrize("flags", [["--out", "/dev/full"], ["--json"], [], ["--out", "-"]])
def test_a_full_disk_is_2(log: Path, only: list[str], flags: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "replay", str(log), *only, *flags],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1].endswith("No space left on device")
    assert b"bug" not in done.stderr


def test_relative_times_need_a_file() -> None:
    assert redshank("replay", "-", "--since", "2h", stdin=b"").returncode == 3


def test_no_path_is_a_wrong_flag() -> None:
    done = redshank("replay")
    assert done.returncode == 3
    assert "replay --help" in done.stderr


@pytest.mark.parametrize("content", [b"", b"not json\n", b'{"kind": "Pod"}\n'])
def test_no_event_is_2(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.log"
    path.write_bytes(content)
    done = redshank("replay", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no audit event" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_event_between_the_times_is_2(log: Path) -> None:
    done = redshank("replay", log, "--since", "2030-01-01")
    assert done.returncode == 2
    assert "--since" in done.stderr


def test_a_missing_path_is_2() -> None:
    done = redshank("replay", "/no/such/file")
    assert done.returncode == 2
    assert "/no/such/file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bad_rule_is_2_and_says_where(log: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(
        "title: X\nlogsource: {product: kubernetes}\ndetection:\n  a:\n    objectRef.resourc: pods\n  condition: a\n"
    )
    done = redshank("replay", log, "--rules", bad)
    assert done.returncode == 2
    assert f"{bad}:5:5: unknown field" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_of_a_pipe_tells_what_it_found(
    tmp_path: Path, only: list[str], sent: signal.Signals
) -> None:
    fifo, out = tmp_path / "fifo", tmp_path / "alerts.jsonl"
    os.mkfifo(fifo)
    command = [*COMMAND, "replay", "-", *only, "--out", str(out)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin
        process.stdin.write(b"".join(secret_read(number) + b"\n" for number in range(20_000)))
        process.stdin.flush()
        time.sleep(2.5)
        process.send_signal(sent)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, b"redshank: interrupted\n")
    assert b"Interrupted" in stdout
    assert b"jane@example.com" in stdout
    assert out.read_bytes().endswith(b"\n")


def test_a_closed_pipe_is_silent(tmp_path: Path) -> None:
    log = log_at(tmp_path, *(secret_read(number, user={"username": f"user-{number}"}) for number in range(300)))
    rules = rules_at(tmp_path)
    command = [*COMMAND, "replay", str(log), "--rules", str(rules), "--no-builtin-rules", "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def on_terminal(*arguments: str, **more: str) -> tuple[str, str]:
    """Run with standard output on a terminal of its own; gives what it shows, and standard error."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=child, stderr=subprocess.PIPE, env=environment(**more)
    ) as process:
        os.close(child)
        shown = bytearray()
        while data := _read(parent):
            shown += data
        assert process.stderr
        stderr = process.stderr.read().decode()
    os.close(parent)
    return shown.decode(), stderr


def _read(file: int) -> bytes:
    try:
        return os.read(file, 65536)
    except OSError:  # Linux says EIO at the end of a terminal
        return b""


def test_a_terminal_gets_colour_and_drawing_unless_told_otherwise(log: Path, only: list[str]) -> None:
    shown, stderr = on_terminal("replay", str(log), *only)
    assert "\x1b[1;31mHIGH" in shown
    assert "→" in shown
    assert stderr == ""
    assert "\x1b[31m" not in on_terminal("replay", str(log), *only, NO_COLOR="1")[0]


HARMLESS = {"\n", "\r"}


@pytest.mark.parametrize("flags", [[], ["--json"], ["--out", "-"], ["--all"]])
def test_hostile_texts_never_reach_the_terminal(tmp_path: Path, only: list[str], flags: list[str]) -> None:
    hostile: dict[str, Any] = {
        "user": {"username": HOSTILE},
        "userAgent": HOSTILE,
        "requestURI": f"/{HOSTILE}",
        "sourceIPs": [HOSTILE],
        "objectRef": {"resource": "secrets", "namespace": HOSTILE, "name": HOSTILE},
    }
    log = log_at(tmp_path, secret_read(0, **hostile), b"{" + HOSTILE.encode())
    done = redshank("replay", log, *only, *flags)
    assert "owned" in done.stdout
    assert done.stdout.replace("…", "").isascii()
    assert all(character in HARMLESS or character.isprintable() for character in done.stdout + done.stderr)
    assert "[bold red]x[/]" in done.stdout
    shown, _ = on_terminal("replay", str(log), *only, *flags, NO_COLOR="1")
    assert not any(evil in shown for evil in ("\x1b]", "\x07", "\x1b[31m", "\u202e", "\u2028", "\x9b"))


def test_an_unexpected_error_is_called_a_bug(log: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "sitecustomize.py"
    spoilt.write_text("import detector.report.replay as r\ndef f(o): raise RuntimeError('oops')\nr.run = f\n")
    path = f"{tmp_path}{os.pathsep}{environment()['PYTHONPATH']}"
    done = redshank("replay", log, PYTHONPATH=path)
    assert done.returncode == 70
    assert "RuntimeError: oops" in done.stderr
    assert "bug" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in redshank("replay", log, PYTHONPATH=path, REDSHANK_DEBUG="1").stderr
