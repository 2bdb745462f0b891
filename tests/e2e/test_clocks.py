"""Clocks that are wrong: of clients, of the machine; and time that passes while a sink is down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.daemon import ATTACK, Daemon, Receiver, bodies, http_sink, receiving, recorded, wait_for

pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")
LINES = recorded()[:1500] if ATTACK.exists() else []
TRAPS = str(Path(__file__).parent / "crash")
DAY, HOUR = 86_400, 3_600


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def daemon(tmp_path: Path, receiver: Receiver) -> Iterator[Daemon]:
    """One that is not started yet: its clock is still to be chosen."""
    one = Daemon(tmp_path, sinks=[http_sink(receiver)])
    one.environment = {"PYTHONPATH": f"{TRAPS}:{os.environ.get('PYTHONPATH', '')}"}
    try:
        yield one
    finally:
        one.end()


def ends_as_the_oracle(daemon: Daemon, receiver: Receiver) -> None:
    daemon.settled()
    assert daemon.stop() == 0
    assert daemon.stored() == daemon.oracle()
    assert {id_: set(revisions) for id_, revisions in receiver.revisions.items()} == daemon.wanted()


def test_a_clock_that_jumps_a_day_and_back_hides_nothing(daemon: Daemon, receiver: Receiver, tmp_path: Path) -> None:
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    daemon.environment["AHEAD"] = str(ahead)
    daemon.start()
    seen = [0]
    for jump in (0, DAY, 0, -DAY):
        ahead.write_text(str(jump))
        again = [line.replace(b'"auditID":"', b'"auditID":"%d-' % len(seen)) for line in LINES[:500]]
        now = [line.replace(b'"stageTimestamp":"2', b'"stageTimestamp":"9') for line in again]  # until it arrived
        assert [daemon.post(body) for body in bodies(now)] == [200] * len(bodies(now))
        daemon.settled()
        seen.append(len(daemon.stored()))
    assert seen == sorted(set(seen)), "the same events make alerts of their own each time"
    assert daemon.metric('redshank_time_set_back_total{cluster="prod"}') == 2
    assert daemon.get("/readyz")[0] == 200
    ends_as_the_oracle(daemon, receiver)


def test_a_sink_that_is_down_for_an_hour_gets_everything_once(daemon: Daemon, receiver: Receiver) -> None:
    def down(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(503)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    receiver.behaviour = down
    daemon.environment["SPEED"] = "300"
    daemon.start()
    sent = bodies(LINES)
    assert [daemon.post(body) for body in sent[:10]] == [200] * 10
    wait_for(lambda: daemon.metric('redshank_outbox_oldest_seconds{sink="siem"}') > HOUR, "an hour of the daemon's")
    assert [daemon.post(body) for body in sent[10:]] == [200] * 5
    assert not receiver.alerts
    assert receiver.requests < 200, "it is left alone for longer and longer"
    receiver.behaviour = lambda _: False
    ends_as_the_oracle(daemon, receiver)
    assert all(len(revisions) == len(set(revisions)) for revisions in receiver.revisions.values())
