"""``redshank alerts`` against a running daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import redshank
from tests.daemon import ATTACK, Daemon, bodies, recorded, running, wait_for

pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    refused = {"name": "siem", "type": "http", "url": "http://127.0.0.1:9/", "expire_after": "1s"}
    with running(tmp_path_factory.mktemp("daemon"), sinks=[refused]) as one:
        for body in bodies(recorded()[:700]):
            one.post(body)
        wait_for(one.stored, "alerts")
        yield one


def alerts(daemon: Daemon, *arguments: str) -> str:
    done = redshank("alerts", *arguments, "--data-dir", daemon.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(daemon: Daemon, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in alerts(daemon, "list", "--json", *arguments).splitlines()]


def test_alerts_are_listed_and_chosen(daemon: Daemon) -> None:
    everything = listed(daemon)
    assert {one["id"] for one in everything} == set(daemon.stored())
    assert {one["level"] for one in listed(daemon, "--level", "high")} == {"high"}
    assert not listed(daemon, "--actor", "nobody")
    assert str(everything[0]["id"]) in alerts(daemon, "list")


def test_an_alert_is_shown_with_its_reasons_and_what_to_do(daemon: Daemon) -> None:
    (first, *_) = listed(daemon, "--level", "high")
    shown = alerts(daemon, "show", str(first["id"]))
    assert str(first["title"]) in shown
    assert "next" in shown


def test_a_verdict_is_shown(daemon: Daemon) -> None:
    (first, *_) = listed(daemon, "--level", "high")
    alerts(daemon, "dismiss", str(first["id"]), "--why", "a drill", "--who", "kim")
    wait_for(lambda: listed(daemon, "--verdict", "dismissed"), "the verdict")
    assert "dismissed by kim" in alerts(daemon, "show", str(first["id"]))


def test_a_suppression_is_listed_until_it_is_lifted(daemon: Daemon) -> None:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    made = alerts(daemon, "suppress", "--why", "x", "--until", until, "--rule", "zzz").strip()
    wait_for(lambda: made in alerts(daemon, "suppressions"), "the suppression")
    alerts(daemon, "lift", made, "--why", "over")
    wait_for(lambda: made not in alerts(daemon, "suppressions"), "its end")


def test_what_could_not_be_delivered_is_sent_again_when_asked(daemon: Daemon) -> None:
    def dead() -> list[str]:
        return alerts(daemon, "dead-letters", "--kind", "delivery", "--json").splitlines()

    letters = wait_for(dead, "a dead letter")
    assert int(alerts(daemon, "redeliver", "--sink", "siem")) >= len(letters)


def test_no_daemon_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = redshank("alerts", "list", "--data-dir", tmp_path)
    assert done.returncode == 3
    assert "no daemon answers" in done.stderr
