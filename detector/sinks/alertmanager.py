"""Prometheus Alertmanager, API v2: alerts that fire while ours are open, and are resolved when these close.

https://prometheus.io/docs/alerting/latest/alerts_api. Alertmanager forgets what it is not sent again, so what is open
is repeated; and it tells nobody of an alert that is over before anybody was told, so each one fires for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from detector.durations import Duration
from detector.encodings import alertmanager
from detector.encodings.jsontext import dumps
from detector.event import SECOND, rfc3339
from detector.finding import Alert
from detector.sinks.address import Url
from detector.sinks.base import Clock, Failure, Mode, RetryError, Sink
from detector.sinks.client import HttpClient
from detector.sinks.login import LoginSettings
from detector.sinks.settings import TELLS, Tells

MISSED = 4
"""Repetitions that may fail before Alertmanager takes an alert for resolved; as Prometheus does it."""
MOST = 10_000
"""Open alerts that are repeated; beyond that the oldest are not."""


class AlertmanagerSettings(LoginSettings):
    """Alerts for Prometheus Alertmanager, which groups, routes and silences them.

    Of several instances (high availability) list all: each is sent everything, and one that takes it is enough.
    """

    mode: ClassVar[Mode] = "upsert"
    type: Literal["alertmanager"] = Field(
        default="alertmanager", description="Prometheus Alertmanager.", examples=["alertmanager"]
    )
    tells: Tells = Field(default="incidents", description=TELLS, examples=["all"])
    urls: tuple[Url, ...] = Field(
        min_length=1,
        max_length=16,
        description="The addresses of all instances, with the route prefix if there is one.",
        examples=[["http://alertmanager-0:9093", "http://alertmanager-1:9093"]],
    )
    token: SecretStr | None = Field(default=None, description="A bearer token.", examples=["a secret"])
    token_file: Path | None = Field(
        default=None, description="A file with the bearer token.", examples=["/run/secrets/alertmanager-token"]
    )
    repeat: Duration = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="Open alerts are sent again so often.",
        examples=["30s"],
    )
    hold: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(0),
        description="An alert fires for at least so long; longer than the `group_wait` of all routes, so that somebody "
        "hears of alerts that open and close while Alertmanager cannot be reached.",
        examples=["10m"],
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> AlertmanagerSettings:
        if self.username is not None and (self.token is not None or self.token_file is not None):
            raise ValueError("give username and password, or a token")
        return self

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Alertmanager(self, clock)

    def authorization(self) -> dict[str, str]:
        """Give the header that says who we are, if any. Raises ConfigError where a file cannot be read."""
        token = self.secret("token")
        return super().authorization() if token is None else {"Authorization": f"Bearer {token}"}


class Alertmanager(Sink):
    """Posts alerts, and posts those that are open again and again."""

    def __init__(self, settings: AlertmanagerSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._client = HttpClient(settings, clock)
        self._open: dict[str, tuple[Alert, float]] = {}
        """Open alerts that were delivered, and since when they fire (monotonic seconds)."""
        self.every = settings.repeat.total_seconds()

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Post the alerts."""
        await self._post([self._firing(alert) for alert in alerts])
        for alert in alerts:
            _, since = self._open.pop(alert.id, (alert, self._clock.monotonic()))
            if alert.status == "open":
                self._open[alert.id] = alert, since
                if len(self._open) > MOST:
                    del self._open[next(iter(self._open))]
        return []

    def resume(self, alerts: Sequence[Alert]) -> None:
        """Take up the repetition of what is open."""
        since = self._clock.monotonic()
        self._open.update({alert.id: (alert, since) for alert in alerts[-MOST:] if alert.status == "open"})

    async def again(self) -> None:
        """Repeat the open alerts."""
        alerts, size = [alert for alert, _ in self._open.values()], self._settings.batch_size
        for start in range(0, len(alerts), size):
            await self._post([self._firing(alert) for alert in alerts[start : start + size]])

    def _firing(self, alert: Alert) -> dict[str, Any]:
        """Give an alert with the time until which it fires."""
        if alert.status == "open":
            left = MISSED * self._settings.repeat.total_seconds()
        else:
            _, since = self._open.get(alert.id, (alert, self._clock.monotonic()))
            left = since + self._settings.hold.total_seconds() - self._clock.monotonic()
        record = alertmanager.encode(alert)
        if left <= 0:
            return record
        # Never before it began, whatever this machine's clock says: Alertmanager would refuse it.
        until = max(self._clock.now() + int(left * SECOND), alert.last_seen)
        return {**record, "endsAt": rfc3339(until)}

    async def _post(self, records: list[dict[str, Any]]) -> None:
        """Post to all instances. Raises RetryError or RefusedError where none took the alerts."""
        headers = {"Content-Type": "application/json", **self._settings.authorization()}
        urls = [f"{url.rstrip('/')}/api/v2/alerts" for url in self._settings.urls]
        body = dumps(records)
        results = await asyncio.gather(*(self._client.post(url, body, headers) for url in urls), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if len(errors) == len(results):
            raise next((error for error in errors if not isinstance(error, RetryError)), errors[0])

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


SETTINGS = AlertmanagerSettings
