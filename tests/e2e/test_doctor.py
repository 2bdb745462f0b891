"""``redshank doctor`` against a running daemon: all is fine, or what breaks first is named."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from detector.cli.run import run
from detector.event import rfc3339
from detector.listen import hash_token
from detector.sinks.settings import TEST_RULE
from tests.cli.running import redshank
from tests.daemon import Daemon, Receiver, bodies, receiving, running, wait_for
from tests.listen.talking import Authority
from tests.support import raw

SINK = {"name": "siem", "type": "http"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def doctor(daemon: Daemon, *flags: str | Path, code: int = 0) -> dict[str, dict[str, str]]:
    """Run it; gives the checks by part, in their order."""
    with redirect_stdout(StringIO()) as printed:
        assert run(["doctor", "--config", str(daemon.config), "--json", *map(str, flags)]) == code, printed.getvalue()
    told = json.loads(printed.getvalue())
    checks = {check["part"]: check for check in told["checks"]}
    assert told["fine"] is (code == 0)
    first = next((part for part, check in checks.items() if check["verdict"] == "broken"), "")
    assert told["first_broken"] == first
    return checks


def troubles(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    return {part: check["verdict"] for part, check in checks.items() if check["verdict"] != "ok"}


def fresh() -> bytes:
    """Give a body with an event of this moment."""
    now = rfc3339(time.time_ns() // 1000)
    return bodies([raw(time.time_ns(), requestReceivedTimestamp=now, stageTimestamp=now)])[0]


@contextmanager
def guarded(folder: Path, receiver: Receiver, authority: Authority, **cluster: Any) -> Iterator[Daemon]:
    """Run a daemon that asks by TLS and authentication who posts."""
    tls = authority.settings(clients="certificate_names" in cluster).model_dump(mode="json")
    webhook = {"listen": "127.0.0.1:0", "tls": tls, "clusters": {"prod": cluster}}
    with running(folder, webhook=webhook, sinks=[{**SINK, "url": receiver.url}]) as daemon:
        yield daemon


def test_when_all_is_fine_it_says_so_and_every_test_reaches_the_sink(tmp_path: Path, receiver: Receiver) -> None:
    webhook = {"listen": "127.0.0.1:0", "clusters": {"prod": {}}}
    sink = {**SINK, "url": receiver.url, "min_level": "critical", "clusters": ["another"]}
    with running(tmp_path, webhook=webhook, sinks=[sink]) as daemon:
        assert daemon.post(fresh()) == 200
        doctor(daemon)
        checks = doctor(daemon)
        assert list(checks)[-5:] == ["webhook", "journal", "fold", "alert", "sink siem"]
        assert {"disk", "rules", "daemon", "settings", "clock", "cluster prod", "dead letters"} < checks.keys()
    alerts = list(receiver.alerts.values())
    assert len(alerts) == 2
    assert {(one["rule"]["id"], one["cluster"], one["level"]) for one in alerts} == {
        (TEST_RULE, "prod", "informational")
    }
    assert all("nothing happened" in one["message"] for one in alerts)


def test_a_sink_that_is_down_is_named_and_the_others_have_the_alert(tmp_path: Path, receiver: Receiver) -> None:
    down = {**SINK, "url": "http://127.0.0.1:9/"}
    with running(tmp_path, sinks=[down, {**SINK, "name": "other", "url": receiver.url}]) as daemon:
        daemon.post(fresh())
        checks = doctor(daemon, code=1)
        assert troubles(checks) == {"sink siem": "broken"}
        assert "127.0.0.1:9" in checks["sink siem"]["what"]
        assert checks["sink other"]["verdict"] == "ok"


def test_a_fold_that_hangs_is_named_and_one_that_died_is_told(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path, sinks=[{**SINK, "url": receiver.url}]) as daemon:
        daemon.post(fresh())
        pid = wait_for(lambda: daemon.fold_pid, "the fold")
        os.kill(pid, signal.SIGSTOP)
        try:
            checks = doctor(daemon, "--wait", "2", code=1)
        finally:
            os.kill(pid, signal.SIGKILL)
        assert list(checks)[-3:] == ["webhook", "journal", "fold"]
        assert checks["fold"]["verdict"] == "broken"
        wait_for(lambda: daemon.fold_pid not in {None, pid}, "another fold")
        daemon.settled()
        checks = doctor(daemon, code=1)
        assert troubles(checks) == {"detection": "warning"}
        assert "died 1 time" in checks["detection"]["what"]


def test_a_certificate_that_has_expired_is_named(tmp_path: Path, receiver: Receiver) -> None:
    authority = Authority(tmp_path)
    authority.serve(expired=True)
    token = tmp_path / "token"
    token.write_text("t-prod\n")
    with guarded(tmp_path, receiver, authority, tokens=[hash_token("t-prod")]) as daemon:
        checks = doctor(daemon, "--token-file", token, code=1)
        assert troubles(checks) == {"certificate of webhook": "broken", "cluster prod": "warning"}
        assert "expired on 2001-01-01" in checks["certificate of webhook"]["what"]


def test_without_a_token_the_test_goes_around_the_webhook_and_with_a_wrong_one_it_breaks_there(
    tmp_path: Path, receiver: Receiver
) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    with guarded(tmp_path, receiver, Authority(tmp_path), tokens=[hash_token("t-prod")]) as daemon:
        checks = doctor(daemon, code=1)
        assert troubles(checks) == {"webhook": "warning", "cluster prod": "warning"}
        assert "--token-file" in checks["webhook"]["todo"]
        assert checks["sink siem"]["verdict"] == "ok"
        checks = doctor(daemon, "--token-file", token, code=1)
        assert list(checks)[-1] == "webhook"
        assert "401" in checks["webhook"]["what"]


def test_a_client_certificate_is_shown_to_a_webhook_that_asks_for_one(tmp_path: Path, receiver: Receiver) -> None:
    authority = Authority(tmp_path)
    issued = authority.ca.issue_cert(common_name="api.prod")
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    with guarded(tmp_path, receiver, authority, certificate_names=["api.prod"]) as daemon:
        assert "webhook" in troubles(doctor(daemon, code=1))
        checks = doctor(daemon, "--cert", cert, "--key", key, code=1)
        assert troubles(checks) == {"cluster prod": "warning"}


def test_a_cluster_that_sends_nothing_is_named_and_the_test_itself_does_not_count(
    tmp_path: Path, receiver: Receiver
) -> None:
    webhook = {"listen": "127.0.0.1:0", "clusters": {"prod": {}, "stage": {}}}
    with running(tmp_path, webhook=webhook, sinks=[{**SINK, "url": receiver.url}]) as daemon:
        assert daemon.post(fresh(), cluster="stage") == 200
        for _ in range(2):
            checks = doctor(daemon, code=1)
            assert troubles(checks) == {"cluster prod": "warning"}
            assert "no batch" in checks["cluster prod"]["what"]


def test_where_the_rule_of_the_test_does_not_run_the_way_ends_there(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path, sinks=[{**SINK, "url": receiver.url}], rules={"packs": ["extended"]}) as daemon:
        daemon.post(fresh())
        assert troubles(doctor(daemon, code=1)) == {"alert": "warning"}


def test_settings_of_another_daemon_are_told(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path, sinks=[{**SINK, "url": receiver.url}]) as daemon:
        done = redshank("doctor", "--data-dir", daemon.data)
        assert done.returncode == 1
        assert "warning  settings: the daemon runs with other sinks" in done.stdout
        assert "waiting for its alert" in done.stderr
        assert done.stdout.splitlines()[-1].endswith("warnings")


def test_without_a_daemon_that_is_what_is_broken(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.config.write_text(json.dumps({"data_dir": str(tmp_path)}))
    checks = doctor(daemon, code=1)
    assert checks["daemon"]["verdict"] == "broken"
    assert "redshank serve" in checks["daemon"]["what"]
    assert checks["rules"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--cluster", "../x"], "--cluster '../x'"),
        (["--cert", "x.pem"], "--cert and --key go together"),
        (["--cert", "x.pem", "--key", "x.key"], "--cert x.pem"),
        (["--token-file", "no-such-file"], "--token-file no-such-file: No such file"),
        (["--config", "no-such-file"], "no-such-file"),
    ],
)
def test_what_was_given_wrongly_is_told_before_anything_is_done(flags: list[str], said: str, tmp_path: Path) -> None:
    done = redshank("doctor", "--data-dir", tmp_path, *flags)
    assert (done.returncode, done.stdout) == (3, "")
    assert said in done.stderr
