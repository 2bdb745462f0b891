"""``--seed`` of replay: rules ask memory about what was there before the log begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import log_at, redshank, rules_at
from tests.memory.teaching import OPEN, pod, request

RULE = {
    "title": "Exec into a privileged pod",
    "id": "7d4fd04e-1b5f-4a35-a6a9-6a3c2c2d1f10",
    "logsource": {"product": "kubernetes", "service": "audit"},
    "detection": {"sel": {"key": "pods/exec", "memory.target.pod.privileged": True}, "condition": "sel"},
    "level": "high",
}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"kind": "List", "items": [pod("web", OPEN)]}))
    return path


@pytest.fixture
def replayed(tmp_path: Path) -> list[str | Path]:
    """The command that replays an exec into the pod of the dump, with the one rule about it."""
    bodies = request("get", "pods/exec", "web", at=1).as_dict()
    log = log_at(tmp_path, json.dumps(bodies).encode())
    return ["replay", log, "--rules", rules_at(tmp_path, RULE), "--no-builtin-rules", "--fail-on", "high"]


def test_a_replay_knows_what_its_seed_says(replayed: list[str | Path], dump: Path) -> None:
    assert redshank(*replayed).returncode == 0
    done = redshank(*replayed, "--seed", dump)
    assert (done.returncode, done.stderr) == (1, "")
    assert redshank(*replayed, "--seed", "-", stdin=dump.read_bytes()).returncode == 1


def test_a_seed_that_is_none_is_refused_with_what_to_do(replayed: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("NAME READY STATUS\n")
    done = redshank(*replayed, "--seed", tmp_path / "table.txt")
    assert done.returncode == 2
    assert "this is no JSON" in done.stderr
    assert "kubectl get -A -o json" in done.stderr
    assert "Traceback" not in done.stderr


def test_events_and_seed_cannot_share_standard_input(dump: Path) -> None:
    done = redshank("replay", "-", "--seed", "-", stdin=dump.read_bytes())
    assert done.returncode == 3
    assert "standard input" in done.stderr


def test_without_a_daemon_it_says_so(tmp_path: Path, dump: Path) -> None:
    done = redshank("memory", "seed", dump, "--data-dir", tmp_path, "--cluster", "a")
    assert done.returncode == 3
    assert "no daemon answers" in done.stderr
