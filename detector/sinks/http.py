"""Any HTTP server that takes JSON: an array, JSON lines, or one alert a request."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from detector.encodings import ENCODINGS
from detector.encodings.jsontext import dumps
from detector.event import SECOND
from detector.finding import Alert
from detector.sinks.address import WebhookSettings
from detector.sinks.base import Clock, Failure, Mode, Sink
from detector.sinks.client import HttpClient
from detector.sinks.lines import JsonEncoding
from detector.sinks.requests import in_groups

TIMESTAMP, SIGNATURE = "X-Redshank-Timestamp", "X-Redshank-Signature"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLACE = re.compile(r"\{([^{}]*)\}")
_OURS = frozenset(
    {"content-length", "content-type", "transfer-encoding", "host", "accept-encoding", TIMESTAMP.lower()}
    | {SIGNATURE.lower()}
)
_LONGEST = 256
_PLACES: dict[str, Callable[[Alert], str]] = {
    "id": lambda alert: alert.id,
    "cluster": lambda alert: alert.cluster,
    "level": lambda alert: alert.level.name,
    "status": lambda alert: alert.status,
    "change": lambda alert: alert.change,
    "rule": lambda alert: alert.rule.id,
}


class HttpSettings(WebhookSettings):
    """Alerts posted as JSON to any HTTP server.

    With a `key`, requests are signed: header `X-Redshank-Signature` is `sha256=` and the hexadecimal HMAC-SHA256 of
    the value of `X-Redshank-Timestamp` (seconds since 1970), a full stop, and the body. Receivers compare it in
    constant time and refuse old timestamps.
    """

    mode: ClassVar[Mode] = "append"
    type: Literal["http"] = Field(default="http", description="An HTTP server.", examples=["http"])
    encoding: JsonEncoding = Field(default="native", description="The form of each alert.", examples=["falco"])
    body: Literal["array", "lines", "object"] = Field(
        default="array",
        description="What a request holds: a JSON array of alerts, one alert a line, or one alert and nothing else.",
        examples=["object"],
    )
    headers: dict[str, SecretStr] = Field(
        default={},
        description="More headers. `{id}`, `{cluster}`, `{level}`, `{status}`, `{change}` and `{rule}` (its id) stand "
        "for those of the alert; alerts that differ in them go in requests of their own.",
        examples=[{"Authorization": "Bearer the-token", "X-Scope-OrgID": "{cluster}"}],
    )
    key: SecretStr | None = Field(default=None, description="Sign requests with this key.", examples=["a long secret"])
    key_file: Path | None = Field(
        default=None, description="A file with the key, instead of `key`.", examples=["/run/secrets/webhook-key"]
    )

    @field_validator("headers")
    @classmethod
    def _sound(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or name.lower() in _OURS:
                raise ValueError(f"{name!r} cannot be set")
            text = value.get_secret_value()
            if not text.isascii() or not text.isprintable():
                raise ValueError(f"{name}: only printable ASCII can be sent")
            if unknown := set(_PLACE.findall(text)) - _PLACES.keys():
                raise ValueError(f"{name}: {{{unknown.pop()}}} stands for nothing; known are {', '.join(_PLACES)}")
        return headers

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Http(self, clock)

    def secrets(self) -> list[str]:
        """Give the secrets, the values of headers among them."""
        values = [value.get_secret_value() for value in self.headers.values()]
        return [*super().secrets(), *values, *(value.split()[-1] for value in values if value)]


class Http(Sink):
    """Posts alerts as JSON."""

    def __init__(self, settings: HttpSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._client = HttpClient(settings, clock)

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Post the alerts, in as few requests as their headers allow."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for place, alert in enumerate(alerts):
            apart = (alert.id,) if self._settings.body == "object" else ()
            groups.setdefault((*self._rendered(alert).values(), *apart), []).append(place)
        return await in_groups(groups.values(), lambda places: self._post([alerts[place] for place in places]))

    async def _post(self, alerts: Sequence[Alert]) -> list[Failure]:
        encode = ENCODINGS[self._settings.encoding].encode
        body, kind = self._written([encode(alert) for alert in alerts])
        headers = {**self._rendered(alerts[0]), "Content-Type": kind, **self._signed(body)}
        await self._client.post(self._settings.address(), body, headers)
        return []

    def _written(self, records: list[Any]) -> tuple[bytes, str]:
        match self._settings.body:
            case "array":
                return dumps(records), "application/json"
            case "lines":
                return b"".join(dumps(record) + b"\n" for record in records), "application/x-ndjson"
            case "object":
                return dumps(records[0]), "application/json"

    def _rendered(self, alert: Alert) -> dict[str, str]:
        """Fill in the headers for an alert."""
        return {
            name: _PLACE.sub(lambda place: _fit(_PLACES[place[1]](alert)), value.get_secret_value())
            for name, value in self._settings.headers.items()
        }

    def _signed(self, body: bytes) -> dict[str, str]:
        key = self._settings.secret("key")
        if key is None:
            return {}
        timestamp = str(self._clock.now() // SECOND)
        return {TIMESTAMP: timestamp, SIGNATURE: signature(key, timestamp, body)}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Give the value of the header that proves who sent a body, and when."""
    signed = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def _fit(text: str) -> str:
    """Give a text as a header may hold it."""
    return ascii(text)[1:-1][:_LONGEST]


SETTINGS = HttpSettings
