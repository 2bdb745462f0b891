"""Slack and Teams: what their answers mean."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from detector.sinks.base import Failure, RetryError
from tests.sinks.destinations import Channel, SlackChannel, TeamsChannel
from tests.sinks.doubles import FakeClock, alert
from tests.sinks.server import Server


@pytest.fixture(params=[SlackChannel, TeamsChannel])
def channel(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channel:
    made = request.param(tmp_path, monkeypatch)
    assert isinstance(made, Channel)
    return made


def send(channel: Channel, count: int = 1) -> list[Failure]:
    async def main() -> list[Failure]:
        await channel.start()
        sink = channel.configured().open(FakeClock())
        try:
            return await sink.send([alert(number) for number in range(count)])
        finally:
            await sink.close()
            await channel.stop()

    return asyncio.run(main())


def says(channel: Channel, status: int, text: str) -> Channel:
    async def handle(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    channel.server = Server(handle)
    return channel


def test_each_alert_is_a_message(channel: Channel) -> None:
    assert send(channel, 3) == []
    bodies = [orjson.loads(body) for _, body in channel.server.requests]
    assert len(bodies) == 3
    assert all("blocks" in body or body["type"] == "message" for body in bodies)


def test_too_many_messages_are_sent_later_all_of_those_left(channel: Channel) -> None:
    channel.server.faults.append("429")
    with pytest.raises(RetryError) as caught:
        send(channel, 2)
    assert caught.value.after == 77


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived"), (500, "rollup_error"), (502, "")],
)
def test_what_an_operator_can_put_right_is_not_given_up(channel: Channel, status: int, text: str) -> None:
    with pytest.raises(RetryError, match=f"answered {status}"):
        send(says(channel, status, text))


def test_a_message_that_is_refused_is_given_up(channel: Channel) -> None:
    assert send(says(channel, 400, "invalid_blocks")) == [Failure(0, "answered 400: invalid_blocks", permanent=True)]


def test_an_answer_that_means_no_is_no_yes_whatever_its_status(channel: Channel) -> None:
    text = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    with pytest.raises(RetryError, match="failed with error"):
        send(says(channel, 200, text))


@pytest.mark.parametrize("text", ["", "1"])
def test_teams_says_yes_with_nothing_or_a_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert send(says(TeamsChannel(tmp_path, monkeypatch), 202, text)) == []
