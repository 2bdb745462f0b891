"""Slack: one message for each alert, by an incoming webhook.

Answers: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from detector.encodings import slack
from detector.encodings.jsontext import dumps
from detector.finding import Alert
from detector.sinks.address import WebhookSettings
from detector.sinks.base import Clock, Failure, Mode, RetryError, Sink
from detector.sinks.client import HttpClient
from detector.sinks.requests import in_groups
from detector.sinks.settings import TELLS, Tells


class SlackSettings(WebhookSettings):
    """Alerts as messages in a Slack channel. Slack takes about one a second."""

    mode: ClassVar[Mode] = "append"
    type: Literal["slack"] = Field(default="slack", description="A Slack channel.", examples=["slack"])
    tells: Tells = Field(default="incidents", description=TELLS, examples=["all"])
    batch_size: int = Field(default=1, ge=1, le=10, description="Most alerts sent one after the other.", examples=[5])
    rate: float | None = Field(default=1.0, gt=0, le=100, description="Most alerts a second.", examples=[0.5])

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Slack(self, clock)


class Slack(Sink):
    """Posts messages to a channel."""

    def __init__(self, settings: SlackSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = HttpClient(settings, clock)

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Post one message for each alert."""
        return await in_groups(([place] for place in range(len(alerts))), lambda places: self._post(alerts[places[0]]))

    async def _post(self, alert: Alert) -> list[Failure]:
        reply = await self._client.post(self._settings.address(), dumps(slack.encode(alert)))
        if reply.body.strip() != b"ok":
            raise RetryError(f"not the answer of Slack: {reply.said()}")
        return []

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


SETTINGS = SlackSettings
