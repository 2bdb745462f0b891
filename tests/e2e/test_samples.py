"""The sample logs, from the shell to the screen, the JSON lines and back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.running import ROOT, redshank

ATTACK = ROOT / "sample_logs" / "attack.jsonl.gz"
pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")


def ids(path: Path) -> set[str]:
    return {json.loads(line)["id"] for line in path.read_text().splitlines()}


def test_the_attack_is_seen_and_every_alert_is_written_once(tmp_path: Path) -> None:
    out = tmp_path / "alerts.jsonl"
    done = redshank("replay", ATTACK, "--out", out, "--json", "--fail-on", "high")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(written) == len(ids(out))
    assert told["alert_counts"]["total"] == sum(one["kind"] == "alert" for one in written)
    # An incident that went on as another is written, and names it.
    stories = [one for one in written if one["kind"] == "incident" and not one["incident"]]
    assert told["alert_counts"]["incidents"] == len(stories) > 0
    assert told["counters"]["rejected"] == 0


def test_compressed_or_not_and_through_a_pipe_the_alerts_are_the_same(tmp_path: Path) -> None:
    text = gzip.decompress(ATTACK.read_bytes())
    plain = tmp_path / "audit.log"
    plain.write_bytes(text)
    redshank("replay", ATTACK, "--out", tmp_path / "a")
    redshank("replay", plain, "--out", tmp_path / "b")
    redshank("replay", "-", "--out", tmp_path / "c", stdin=text)
    assert ids(tmp_path / "a") == ids(tmp_path / "b") == ids(tmp_path / "c")


def test_the_same_log_twice_counts_once(tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl.gz"
    copy.write_bytes(ATTACK.read_bytes())
    once = json.loads(redshank("replay", ATTACK, "--json").stdout)
    twice = json.loads(redshank("replay", ATTACK, copy, "--json").stdout)
    assert twice["counters"]["duplicates"] == once["counters"]["events"]
    assert twice["alert_counts"] == once["alert_counts"]
