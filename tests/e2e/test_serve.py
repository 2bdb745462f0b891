"""The daemon through the real binary: from an API server's POST to the alert at a sink, and back after a stop."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from detector.finding import Alert, Level
from detector.pipeline import Detector, replay
from detector.sources.files import FileSource
from tests.daemon import ATTACK, Daemon, Receiver, bodies, http_sink, receiving, recorded, running, wait_for
from tests.support import rule

pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")
LINES = recorded()[:1500] if ATTACK.exists() else []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def daemon(tmp_path: Path, receiver: Receiver) -> Iterator[Daemon]:
    with running(tmp_path, sinks=[http_sink(receiver)]) as one:
        yield one


def plain(alerts: dict[str, Alert]) -> dict[str, tuple[int, Level, int, str]]:
    return {id_: (one.revision, one.level, one.count, one.change) for id_, one in alerts.items()}


def test_what_is_posted_is_alerted_on_once_and_equals_a_fold_of_the_journal(daemon: Daemon, receiver: Receiver) -> None:
    assert [daemon.post(body) for body in bodies(LINES)] == [200] * 15
    daemon.settled()
    assert daemon.stop() == 0
    assert plain(daemon.stored()) == plain(daemon.oracle())
    assert receiver.alerts.keys() == daemon.stored().keys()
    assert all(len(revisions) == len(set(revisions)) for revisions in receiver.revisions.values())


def test_the_alerts_are_those_of_a_replay_of_the_same_events(daemon: Daemon, tmp_path: Path) -> None:
    for body in bodies(LINES):
        daemon.post(body, cluster="prod")
    daemon.settled()
    daemon.stop()
    log = tmp_path / "audit.log"
    log.write_bytes(b"\n".join(LINES))
    told = [alert for _, alerts in replay(Detector.load(packs="core,extended"), FileSource([log])) for alert in alerts]
    assert {(one.rule.id, one.actor) for one in told} == {(one.rule.id, one.actor) for one in daemon.stored().values()}


def test_after_a_stop_it_goes_on_where_it_was(daemon: Daemon, receiver: Receiver) -> None:
    sent = bodies(LINES)
    for number, body in enumerate(sent):
        if number % 5 == 0:
            daemon.stop()
            daemon.start()
        assert daemon.post(body) == 200
    daemon.settled()
    daemon.stop()
    assert plain(daemon.stored()) == plain(daemon.oracle())
    assert receiver.alerts.keys() == daemon.stored().keys()


def test_a_body_that_comes_again_is_answered_and_not_counted_again(daemon: Daemon) -> None:
    (body,) = bodies(LINES[:100])
    assert [daemon.post(body) for _ in range(3)] == [200, 200, 200]
    assert daemon.post(body, cluster="other") == 200
    daemon.settled()
    metrics = daemon.get("/metrics")[1].decode()
    assert 'redshank_events_total{cluster="prod"} 100.0' in metrics
    assert 'redshank_events_total{cluster="other"} 100.0' in metrics
    assert 'redshank_batches_total{cluster="prod",outcome="resent"} 2.0' in metrics
    assert 'what="duplicate"} 0.0' in metrics
    assert 'redshank_state_entries{cluster="prod",part="windows"}' in metrics
    assert "redshank_rules 0.0" not in metrics


def test_bad_bodies_are_refused_bad_items_are_not(daemon: Daemon) -> None:
    good = bodies(LINES[:2])[0]
    assert daemon.post(b"not json") == daemon.post(b"not json") == 400
    assert daemon.post(good.replace(b'"items":[', b'"items":[{"kind":"Pod"},')) == 200
    wait_for(lambda: len(daemon.admin("GET", "/api/dead-letters")[1]["dead_letters"]) == 2)
    letters = daemon.admin("GET", "/api/dead-letters")[1]["dead_letters"]
    assert sorted((one["kind"], one["count"]) for one in letters) == [("body", 2), ("item", 1)]
    assert all(one["cluster"] == "prod" and "not json" not in json.dumps(one) for one in letters)


def test_rules_are_read_again_without_a_restart_and_bad_ones_are_refused(tmp_path: Path, receiver: Receiver) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text(yaml.safe_dump(rule("Mine", level="high")))
    settings = {"builtin": False, "paths": [str(mine)]}
    with running(tmp_path, sinks=[http_sink(receiver)], rules=settings) as daemon:
        secrets = [line for line in LINES if b'"resource":"secrets"' in line and b'"verb":"get"' in line]
        assert daemon.post(bodies(secrets[:10])[0]) == 200
        wait_for(lambda: {one["title"] for one in receiver.alerts.values()} == {"Mine"}, "an alert")
        mine.write_text("title: broken")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_said("is refused, the old one goes on")
        mine.write_text(yaml.safe_dump(rule("Yours", level="high")))
        daemon.wait_said("the configuration was read again")  # by itself: the file has changed
        assert daemon.post(bodies(secrets[10:])[0]) == 200
        wait_for(lambda: "Yours" in {one["title"] for one in receiver.alerts.values()}, "an alert of the new rule")
        daemon.settled()
        daemon.stop()
        assert plain(daemon.stored()) == plain(daemon.oracle())


def test_suppressions_and_verdicts_take_effect_and_are_in_the_journal(daemon: Daemon, receiver: Receiver) -> None:
    assert daemon.post(bodies(LINES[:700])[3]) == 200
    daemon.settled()
    (first, *_) = daemon.stored().values()
    status, _ = daemon.admin("POST", f"/api/alerts/{first.id}/dismiss", {"who": "kim", "why": "a drill"})
    assert status == 202
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    pattern = {"owner": "kim", "reason": "a drill", "until": until, "actor": "*"}
    assert daemon.admin("POST", "/api/suppressions", pattern)[0] == 400
    assert daemon.admin("POST", "/api/suppressions", {**pattern, "target": "*/*"})[0] == 202
    wait_for(lambda: daemon.admin("GET", f"/api/alerts/{first.id}")[1]["verdict"], "the verdict")
    before = set(daemon.stored())
    for body in bodies(LINES):
        daemon.post(body)
    daemon.settled()
    (listed,) = daemon.admin("GET", "/api/suppressions")[1]["suppressions"]
    assert listed["silenced"] > 0
    daemon.stop()
    assert not any("/" in target for id_, one in daemon.stored().items() if id_ not in before for target in one.targets)
    assert plain(daemon.stored()) == plain(daemon.oracle())


def test_without_a_configuration_it_listens_on_loopback_and_says_what_to_do(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.environment = {"REDSHANK_WEBHOOK__LISTEN": "127.0.0.1:0", "REDSHANK_WEB__LISTEN": "127.0.0.1:0"}
    daemon.settings = {"data_dir": str(daemon.data)}
    try:
        daemon.start()
        assert daemon.said("redshank init kube-apiserver")
        assert daemon.post(bodies(LINES[:700])[3]) == 200
        printed = tmp_path / "stdout"
        wait_for(lambda: printed.stat().st_size, "an alert on standard output")
        assert {json.loads(line)["cluster"] for line in printed.read_text().splitlines()} == {"prod"}
    finally:
        assert daemon.stop() == 0


def test_a_second_daemon_on_the_same_data_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    second = Daemon(tmp_path / "second", data_dir=str(daemon.data))
    second.folder.mkdir()
    second.launch()
    assert second.gone() == 2
    assert "is in use by another redshank" in second.said()


def test_a_standby_takes_over_when_the_active_one_is_killed(daemon: Daemon, receiver: Receiver, tmp_path: Path) -> None:
    second = Daemon(tmp_path / "second", data_dir=str(daemon.data), sinks=[http_sink(receiver)])
    second.folder.mkdir()
    second.data = daemon.data
    sent = bodies(LINES)
    try:
        second.launch("--standby")
        second.wait_said("standing by")
        assert [daemon.post(body) for body in sent[:7]] == [200] * 7
        daemon.kill()
        second.listening()
        assert [second.post(body) for body in sent[5:]] == [200] * 10  # two of them come again
        second.settled()
        assert second.get("/readyz")[0] == 200
        assert second.stop() == 0
        assert plain(second.stored()) == plain(second.oracle())
        assert receiver.alerts.keys() == second.stored().keys()
    finally:
        second.end()


def test_a_standby_can_be_stopped_while_it_waits(daemon: Daemon, tmp_path: Path) -> None:
    second = Daemon(tmp_path / "second", data_dir=str(daemon.data))
    second.folder.mkdir()
    try:
        second.launch("--standby")
        second.wait_said("standing by")
        assert second.stop() == 0
    finally:
        second.end()
    assert daemon.get("/readyz")[0] == 200


def test_wrong_settings_are_told_with_file_and_line(tmp_path: Path) -> None:
    daemon = Daemon(
        tmp_path, webhook={"listen": "127.0.0.1:0", "max_body": "many"}, sinks=[{"name": "x", "type": "http"}]
    )
    daemon.launch()
    assert daemon.gone() == 3
    said = daemon.said()
    assert "redshank.yaml:" in said
    assert "webhook.max_body" in said
    assert "sinks.0: give url or url_file" in said
