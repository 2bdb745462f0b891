"""Microsoft Teams: one Adaptive Card for each alert, by a webhook of Workflows.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from detector.encodings import teams
from detector.encodings.jsontext import dumps
from detector.finding import Alert
from detector.sinks.address import WebhookSettings
from detector.sinks.base import Clock, Failure, Mode, RetryError, Sink
from detector.sinks.client import HttpClient
from detector.sinks.requests import in_groups
from detector.sinks.settings import TELLS, Tells

FAILED = b"failed"
"""A word of the answers 200 that mean that Teams itself refused, often because there were too many messages."""


class TeamsSettings(WebhookSettings):
    """Alerts as cards in a Teams channel, through a workflow that starts when a webhook request is received."""

    mode: ClassVar[Mode] = "append"
    type: Literal["teams"] = Field(default="teams", description="A Microsoft Teams channel.", examples=["teams"])
    tells: Tells = Field(default="incidents", description=TELLS, examples=["all"])
    batch_size: int = Field(default=1, ge=1, le=10, description="Most alerts sent one after the other.", examples=[5])
    rate: float | None = Field(default=1.0, gt=0, le=100, description="Most alerts a second.", examples=[0.5])

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Teams(self, clock)


class Teams(Sink):
    """Posts cards to a channel."""

    def __init__(self, settings: TeamsSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = HttpClient(settings, clock)

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Post one card for each alert."""
        return await in_groups(([place] for place in range(len(alerts))), lambda places: self._post(alerts[places[0]]))

    async def _post(self, alert: Alert) -> list[Failure]:
        reply = await self._client.post(self._settings.address(), dumps(teams.encode(alert)))
        if FAILED in reply.body:
            raise RetryError(reply.said())
        return []

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


SETTINGS = TeamsSettings
