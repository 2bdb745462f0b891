"""Splunk: events for the HTTP Event Collector (HEC), delivered when the indexers acknowledge them.

Formats and codes: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import uuid4

import orjson
from pydantic import Field, SecretStr, model_validator

from detector.durations import Duration
from detector.encodings import splunk
from detector.encodings.jsontext import dumps
from detector.finding import Alert
from detector.sinks.address import RemoteSettings, Url
from detector.sinks.base import Clock, Failure, Mode, RefusedError, RetryError, Sink
from detector.sinks.client import HttpClient, Reply

POLL = 1.0
"""Seconds between questions whether a request has been acknowledged."""
ABOUT_EVENTS = frozenset({5, 6, 12, 13, 15})
"""Codes that speak of an event: no data, invalid format, no event field, a blank one, a wrong indexed field."""
NO_ACKS = 14
"""The code of a token for which acknowledgement is off."""


class SplunkSettings(RemoteSettings):
    """Alerts as events for Splunk's HTTP Event Collector.

    With indexer acknowledgement on for the token, an alert counts as delivered when it is acknowledged; otherwise when
    the collector took it, and a crash of the collector can lose it.
    """

    mode: ClassVar[Mode] = "append"
    type: Literal["splunk"] = Field(default="splunk", description="Splunk HEC.", examples=["splunk"])
    url: Url = Field(description="The address of the collector.", examples=["https://splunk.example.com:8088"])
    token: SecretStr | None = Field(
        default=None, description="The token of the collector.", examples=["00000000-0000-0000-0000-000000000000"]
    )
    token_file: Path | None = Field(
        default=None, description="A file with the token.", examples=["/run/secrets/splunk-token"]
    )
    index: str | None = Field(
        default=None, description="The index; that of the token if absent.", examples=["kubernetes-alerts"]
    )
    sourcetype: str = Field(default="redshank:alert", description="The source type.", examples=["redshank:alert"])
    timeout: Duration = Field(
        default=timedelta(minutes=2),
        gt=timedelta(0),
        description="A request that is not answered and acknowledged within this time is sent again later.",
        examples=["5m"],
    )

    @model_validator(mode="after")
    def _given(self) -> SplunkSettings:
        if self.token is None and self.token_file is None:
            raise ValueError("give token or token_file")
        return self

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Splunk(self, clock)


class Splunk(Sink):
    """Posts events, and waits for their acknowledgement."""

    def __init__(self, settings: SplunkSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._client = HttpClient(settings, clock)
        self._channel = str(uuid4())

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Post the alerts, and wait until they are acknowledged where the token's settings allow that."""
        answer = _checked(await self._post("event", b"\n".join(self._event(alert) for alert in alerts)))
        if answer.get("code") != 0:
            raise RetryError("not the answer of such a server: it does not say that it took the events")
        if isinstance(number := answer.get("ackId"), int):
            await self._acknowledged(number)
        return []

    def _event(self, alert: Alert) -> bytes:
        event = {**splunk.encode(alert), "sourcetype": self._settings.sourcetype}
        return dumps({**event, "index": self._settings.index} if self._settings.index else event)

    async def _acknowledged(self, number: int) -> None:
        """Ask until the indexers have a request; the time-out of the send ends this."""
        while True:
            answer = _checked(await self._post("ack", orjson.dumps({"acks": [number]})))
            acks = answer.get("acks")
            if answer.get("code") == NO_ACKS or (isinstance(acks, dict) and acks.get(str(number)) is True):
                return
            await self._clock.sleep(POLL)

    async def _post(self, what: str, body: bytes) -> Reply:
        headers = {
            "Authorization": f"Splunk {self._settings.secret('token')}",
            "Content-Type": "application/json",
            "X-Splunk-Request-Channel": self._channel,
        }
        url = f"{self._settings.url.rstrip('/')}/services/collector/{what}"
        return await self._client.request("POST", url, body, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _checked(reply: Reply) -> dict[str, Any]:
    """Give an answer. Raises RefusedError where an event is at fault, and RetryError where anything else is."""
    try:
        reply.check()
    except RefusedError as error:
        code = _object(reply).get("code")
        if code == NO_ACKS:
            return _object(reply)
        if isinstance(code, int) and code not in ABOUT_EVENTS:
            raise RetryError(error.reason) from None
        raise
    return _object(reply)


def _object(reply: Reply) -> dict[str, Any]:
    answer = reply.json()
    if not isinstance(answer, dict):
        raise RetryError(f"not the answer of such a server: {reply.said()}")
    return answer


SETTINGS = SplunkSettings
