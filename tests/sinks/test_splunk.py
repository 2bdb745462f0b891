"""Splunk HEC: delivered means acknowledged; which codes speak of an event."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from detector.sinks.base import Failure, RefusedError, RetryError
from detector.sinks.splunk import SplunkSettings
from tests.sinks.destinations import SECRET, Hec
from tests.sinks.doubles import FakeClock, alert
from tests.sinks.server import Handler, Server, answer


@pytest.fixture
def hec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hec:
    return Hec(tmp_path, monkeypatch)


def send(server: Server, count: int = 2, **options: Any) -> tuple[list[Failure], float]:
    async def main() -> list[Failure]:
        await server.start()
        sink = SplunkSettings(name="a", url=server.url, token=SECRET, **options).open(clock)
        try:
            return await sink.send([alert(number) for number in range(count)])
        finally:
            await sink.close()
            await server.stop()

    clock = FakeClock()
    return asyncio.run(main()), clock.time


def scripted(event: Any, status: int = 200, ack: Any = None, ack_status: int = 200) -> Handler:
    async def handle(request: web.Request, body: bytes) -> web.StreamResponse:
        return answer(ack, ack_status) if request.path.endswith("/ack") else answer(event, status)

    return handle


def test_an_alert_is_delivered_when_the_indexers_acknowledge_it(hec: Hec) -> None:
    failures, waited = send(hec.server)
    assert failures == []
    assert hec.asked == [2, 2, 2]
    assert waited == 2, "once a second"
    channels = {request.headers["X-Splunk-Request-Channel"] for request, _ in hec.server.requests}
    assert len(channels) == 1


def test_a_token_without_acknowledgement_takes_the_answer_for_a_yes(hec: Hec) -> None:
    hec.acknowledges = False
    assert send(hec.server) == ([], 0)
    assert hec.asked == []


def test_acknowledgement_that_was_turned_off_meanwhile_is_not_waited_for() -> None:
    off = {"text": "ACK is disabled", "code": 14}
    assert send(Server(scripted({"code": 0, "ackId": 7}, ack=off, ack_status=400))) == ([], 0)


def test_events_carry_source_type_and_index(hec: Hec) -> None:
    send(hec.server, sourcetype="k8s:alert", index="security")
    events = [orjson.loads(line) for line in hec.server.requests[0][1].splitlines()]
    assert {(event["sourcetype"], event["index"]) for event in events} == {("k8s:alert", "security")}
    assert [event["event"]["id"] for event in events] == [alert(0).id, alert(1).id]


def test_without_an_index_it_is_the_token_s(hec: Hec) -> None:
    send(hec.server)
    assert b'"index"' not in hec.server.requests[0][1]


@pytest.mark.parametrize("code", [5, 6, 12, 13, 15])
def test_codes_about_an_event_refuse_it(code: int) -> None:
    with pytest.raises(RefusedError, match=f'"code": {code}'):
        send(Server(scripted({"text": "no", "code": code}, 400)))


@pytest.mark.parametrize(
    ("code", "status"), [(1, 403), (2, 401), (4, 403), (7, 400), (8, 500), (9, 503), (10, 400), (11, 400), (16, 400)]
)
def test_codes_about_the_collector_or_its_settings_do_not(code: int, status: int) -> None:
    with pytest.raises(RetryError, match=f"answered {status}"):
        send(Server(scripted({"text": "no", "code": code}, status)))


@pytest.mark.parametrize("answered", [[], "ok", 1, {}, {"code": 1}, {"text": "Success"}, None])
def test_what_does_not_say_success_is_no_yes(answered: Any) -> None:
    with pytest.raises(RetryError, match="not the answer of such a server"):
        send(Server(scripted(answered)))


@pytest.mark.parametrize(
    "acks", [{}, [], {"acks": []}, {"acks": {"7": 1}}, {"acks": {"7": "true"}}, {"acks": {"8": True}}]
)
def test_only_a_clear_acknowledgement_is_one(acks: Any) -> None:
    async def handle(request: web.Request, body: bytes) -> web.StreamResponse:
        if not request.path.endswith("/ack"):
            return answer({"code": 0, "ackId": 7})
        asked.append(body)
        return answer(acks) if len(asked) == 1 else answer({"acks": {"7": True}})

    asked: list[bytes] = []
    if isinstance(acks, dict):
        assert send(Server(handle))[0] == []
        assert len(asked) == 2
    else:
        with pytest.raises(RetryError):
            send(Server(handle))
