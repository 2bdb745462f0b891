"""What goes wrong around a daemon: a full disk, damaged files, bad sinks, hostile bodies, changes under load."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import orjson
import pytest
import yaml

from tests.daemon import (
    ATTACK,
    Daemon,
    Receiver,
    Sender,
    bodies,
    http_sink,
    receiving,
    recorded,
    running,
    wait_for,
)
from tests.support import raw

pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")
LINES = recorded()[:1500] if ATTACK.exists() else []
TRAPS = str(Path(__file__).parent / "crash")
UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def daemon(tmp_path: Path, receiver: Receiver) -> Iterator[Daemon]:
    with running(tmp_path, sinks=[http_sink(receiver)]) as one:
        yield one


def more(sender: Sender) -> None:
    """Wait until some more bodies were accepted."""
    enough = len(sender.sent) + 10
    wait_for(lambda: len(sender.sent) >= enough, "more bodies")


def limit_files(daemon: Daemon, size: int) -> None:
    """Let the daemon write no file beyond a size: what a full disk does, and it can be freed again."""
    assert daemon.process is not None
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


def equals_the_oracle(daemon: Daemon, receiver: Receiver) -> None:
    daemon.settled()
    assert daemon.stop() == 0
    stored = daemon.stored()
    assert stored == daemon.oracle()
    assert receiver.alerts.keys() == stored.keys()


def test_a_full_disk_makes_senders_wait_and_loses_nothing(daemon: Daemon, receiver: Receiver) -> None:
    sent = bodies(LINES)
    assert daemon.post(sent[0]) == 200
    daemon.settled()
    limit_files(daemon, 4096)
    refused = [daemon.post(body) for body in sent[1:4]]
    assert set(refused) == {429}
    assert daemon.get("/healthz")[0] == 200
    limit_files(daemon, UNLIMITED)
    wait_for(lambda: daemon.post(sent[1]) == 200, "room")
    assert [daemon.post(body) for body in sent[2:]] == [200] * (len(sent) - 2)
    equals_the_oracle(daemon, receiver)


@pytest.mark.parametrize("name", ["journal.db", "state.db"])
def test_a_damaged_database_is_refused_and_left_alone(daemon: Daemon, name: str) -> None:
    assert daemon.post(bodies(LINES)[0]) == 200
    daemon.settled()
    daemon.stop()
    path = daemon.data / name
    damaged = b"\0" * 4096 + path.read_bytes()[4096:]
    path.write_bytes(damaged)
    daemon.launch()
    assert daemon.gone() == 2
    assert f"{name} is damaged" in daemon.said()
    assert "redshank db restore" in daemon.said()
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("name", ["journal.db", "state.db"])
def test_a_database_that_has_gone_is_no_fresh_start(daemon: Daemon, name: str) -> None:
    assert daemon.post(bodies(LINES)[0]) == 200
    daemon.settled()
    daemon.stop()
    for path in daemon.data.glob(f"{name}*"):
        path.unlink()
    daemon.launch()
    assert daemon.gone() == 2
    assert f"has lost {name}" in daemon.said()


def test_a_sink_that_hangs_holds_up_no_other(tmp_path: Path, receiver: Receiver) -> None:
    with receiving() as stuck:
        over = Event()

        def hang(_: BaseHTTPRequestHandler) -> bool:
            over.wait(60)
            return False

        stuck.behaviour = hang
        sinks = [http_sink(stuck, name="stuck", timeout="30s"), http_sink(receiver)]
        with running(tmp_path, sinks=sinks, stop_within="4s") as daemon:
            assert [daemon.post(body) for body in bodies(LINES)] == [200] * 15
            wait_for(lambda: receiver.alerts.keys() == daemon.stored().keys() and receiver.alerts, "all at the other")
            assert not stuck.alerts
            assert daemon.stop() == 0
            over.set()
            daemon.start()  # what the first sink did not say yes to is sent to it again
            daemon.settled()
            assert stuck.alerts.keys() == daemon.stored().keys()


def test_a_sink_that_misbehaves_gets_every_alert_in_the_end(daemon: Daemon, receiver: Receiver) -> None:
    def misbehave(request: BaseHTTPRequestHandler) -> bool:
        way = receiver.requests
        if way > 4:
            return False
        if way == 1:
            request.connection.close()
        elif way == 2:
            request.connection.sendall(b"garbage\r\n\r\n")
            request.close_connection = True
        else:
            request.send_response(429 if way == 3 else 500)
            request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
        return True

    receiver.behaviour = misbehave
    assert [daemon.post(body) for body in bodies(LINES)] == [200] * 15
    equals_the_oracle(daemon, receiver)


def test_an_entry_the_fold_dies_of_is_passed_over_and_the_rest_looked_at(daemon: Daemon, receiver: Receiver) -> None:
    sent = bodies(LINES)
    assert daemon.stop() == 0
    poison = orjson.loads(LINES[550])["auditID"]
    daemon.environment = {"POISON": poison, "PYTHONPATH": f"{TRAPS}:{os.environ.get('PYTHONPATH', '')}"}
    daemon.start()
    assert [daemon.post(body) for body in sent] == [200] * 15
    daemon.wait_said("passed over: the fold died 3 times")
    daemon.settled()
    (letter,) = daemon.admin("GET", "/api/dead-letters")[1]["dead_letters"]
    assert (letter["kind"], letter["cluster"]) == ("body", "prod")
    assert b"redshank_fold_passed_over_total 1.0" in daemon.get("/metrics")[1]
    assert b'redshank_events_total{cluster="prod"} 1400.0' in daemon.get("/metrics")[1]
    equals_the_oracle(daemon, receiver)


def test_an_event_of_2099_hides_no_later_one(daemon: Daemon, receiver: Receiver) -> None:
    items = [orjson.loads(line) for line in LINES[:100]]
    items[0]["stageTimestamp"] = items[0]["requestReceivedTimestamp"] = "2099-01-01T00:00:00.000000Z"
    assert daemon.post(bodies([orjson.dumps(item) for item in items])[0]) == 200
    assert [daemon.post(body) for body in bodies(LINES[100:])] == [200] * 14
    daemon.settled()
    assert len(daemon.stored()) > 3
    assert 'what="late"} 0.0' not in daemon.get("/metrics")[1].decode()  # told, and detected on all the same
    equals_the_oracle(daemon, receiver)


def test_hostile_items_cost_only_themselves(daemon: Daemon, receiver: Receiver) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    hostile = [
        raw(1).replace(b'"verb":"get"', b'"verb":"create","requestObject":%b' % deep),
        raw(2)[:-1] + b',"requestObject":{"n":1e999,"m":%b}}' % (b"9" * 5000),
        b"[" * 50_000 + b"]" * 50_000,
        b'{"kind":"Event","verb":' + b'"\xff\xfe"' + b"}",
        b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":7,"auditID":[],"stage":{},"verb":null}',
    ]
    secrets = [line for line in LINES if b'"resource":"secrets"' in line]
    items = [*secrets[:40], *hostile, *secrets[40:80]]
    assert daemon.post(bodies(items, 400)[0]) == 200
    daemon.settled()
    metrics = daemon.get("/metrics")[1].decode()
    assert "redshank_fold_restarts_total 0.0" in metrics
    assert receiver.alerts
    equals_the_oracle(daemon, receiver)


def test_settings_are_reloaded_and_the_daemon_ended_under_load_without_loss(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path, sinks=[http_sink(receiver)]) as daemon:
        sender = Sender(daemon)
        sender.begin()
        try:
            for number in range(5):
                daemon.settings["log"] = {"format": "json", "level": ["info", "warning"][number % 2]}
                daemon.settings["sinks"] = [http_sink(receiver, batch_size=1 + number)]
                daemon.config.write_text(yaml.safe_dump(daemon.settings))
                assert daemon.process is not None
                daemon.process.send_signal(signal.SIGHUP)
                more(sender)
            for _ in range(3):
                assert daemon.stop() == 0
                daemon.start()
                more(sender)
        finally:
            sender.end()
        assert sender.answers <= {200, 0}
        equals_the_oracle(daemon, receiver)
