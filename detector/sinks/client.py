"""HttpClient: what sinks over HTTP share. One client with bounded answers, and what an answer means."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson

from detector.event import EPOCH, MICROSECOND
from detector.sinks.address import RemoteSettings
from detector.sinks.base import Clock, RefusedError, RetryError
from detector.version import __version__

LONGEST_ANSWER = 16 << 20
"""Bytes read of an answer; a longer one is a failure."""
QUOTED = 4096
"""Bytes of an answer that go into a message; these are cut shorter after secrets were taken out."""
REFUSALS = frozenset({400, 413, 422, 431})
"""Statuses that speak of what was sent. All others, 401 and 404 too, an operator can put right: the alerts wait."""
PART = 0.9
"""The part of a sink's time-out that one request may take: so it fails by itself, and is told which one it was."""
_DONE, _REDIRECTED = 2, 3
_JSON = {"Content-Type": "application/json"}


class Reply(NamedTuple):
    """An answer: its status, its ``Retry-After`` in seconds, and its body."""

    status: int
    after: float | None
    body: bytes

    def said(self) -> str:
        """Give the answer for a message."""
        return f"answered {self.status}: {self.body[:QUOTED].decode('utf-8', 'replace').strip() or '(nothing)'}"

    def check(self) -> None:
        """Raise RefusedError where what was sent is at fault, and RetryError for all else that is not success."""
        if self.status in REFUSALS:
            raise RefusedError(self.said())
        if self.status // 100 == _REDIRECTED:
            raise RetryError(f"answered {self.status}; redirects are not followed: set url to the final address")
        if self.status // 100 != _DONE:
            raise RetryError(self.said(), self.after)

    def json(self) -> Any:
        """Read the body of a success. Raises RetryError where it is not JSON: something else answered."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise RetryError(f"not the answer of such a server: {self.said()}") from None


class HttpClient:
    """Sends requests with a sink's options; connections are kept, certificates taken anew when their files change."""

    def __init__(self, settings: RemoteSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[int, ...] = ()

    async def request(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = _JSON) -> Reply:
        """Send a request and read the answer, whatever it says. Raises RetryError where there is none, ConfigError."""
        session = self._opened()
        try:
            async with session.request(
                method,
                url,
                data=body or None,
                headers={**headers, "Accept-Encoding": "identity"},
                ssl=self._tls(),
                proxy=self._settings.proxy,
                allow_redirects=False,
            ) as response:
                answer = await _read(response)
                return Reply(response.status, self._after(response.headers.get("Retry-After", "")), answer)
        except TimeoutError:
            raise RetryError(f"{urlsplit(url).hostname} did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RetryError(_why(error)) from None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str] = _JSON) -> Reply:
        """Send a POST whose answer is a success. Raises RefusedError, RetryError, ConfigError."""
        reply = await self.request("POST", url, body, headers)
        reply.check()
        return reply

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            limit = aiohttp.ClientTimeout(total=PART * self._settings.timeout.total_seconds())
            self._session = aiohttp.ClientSession(timeout=limit, headers={"User-Agent": f"redshank/{__version__}"})
        return self._session

    def _tls(self) -> ssl.SSLContext:
        stamp = self._settings.tls.stamp()
        if self._context is None or stamp != self._stamp:
            self._context, self._stamp = self._settings.tls.context(), stamp
        return self._context

    def _after(self, text: str) -> float | None:
        """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
        if text.strip().isdecimal():
            return float(text.strip()[:9])
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        now = EPOCH + self._clock.now() * MICROSECOND
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _why(error: Exception) -> str:
    """Say why there is no answer; what aiohttp says of connections shows objects in memory."""
    if not isinstance(error, aiohttp.ClientConnectorError):
        return f"{type(error).__name__}: {error}"
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
    return f"cannot connect to {error.host}:{error.port}: {getattr(cause, 'strerror', None) or cause}"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > LONGEST_ANSWER:
            raise ValueError("the answer does not end")
    return b"".join(parts)
