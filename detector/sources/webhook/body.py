"""The body of a request: received and decompressed, within bounds of size, memory and time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

from aiohttp import web
from isal import igzip_lib

from detector.listen import Connection
from detector.listen.connection import Stage
from detector.sources.webhook.auth import RefusedError
from detector.sources.webhook.settings import WebhookSettings

MEMBERS = 64
"""Members of one gzip body. Each costs a copy of what follows it, and empty ones would cost without giving."""
INFLATING = 2
"""Bodies decompressed at a time."""


class Refusal(NamedTuple):
    """A body that will not be accepted however often it is sent; for the dead letters."""

    cluster: str
    peer: str
    status: int
    reason: str
    digest: bytes
    """SHA-256 of the body as sent, of its first ``max_body`` bytes where it is larger: the same for each copy."""
    length: int
    """Bytes as sent; of a body too large, those its head announced, or those received."""


class Lease:
    """The bytes one request holds."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.held = memory, 0

    def take(self, size: int) -> None:
        """Hold some more bytes.

        :raises RefusedError: 429, there are no more.
        """
        if self.memory.used + size > self.memory.limit:
            raise RefusedError(429, "too many bodies are under way", 1)
        self.held += size
        self.memory.used += size


class Memory:
    """The bytes that all bodies may hold."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Give a lease that ends with the block."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            self.used -= lease.held


class BadBodyError(Exception):
    """A body is of no use, whenever it comes: ``status``, reason, and what was received of it."""

    def __init__(self, status: int, reason: str, received: bytes, length: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.received, self.length = received, len(received) if length is None else length

    def refusal(self, cluster: str, peer: str) -> Refusal:
        """Give what the dead letters are told."""
        return Refusal(cluster, peer, self.status, self.reason, sha256(self.received).digest(), self.length)


class Bodies:
    """Reads bodies for one webhook."""

    def __init__(self, settings: WebhookSettings) -> None:
        self.settings = settings
        self.memory = Memory(settings.max_buffered)
        self._inflating = asyncio.Semaphore(INFLATING)

    async def read(self, request: web.BaseRequest, connection: Connection, lease: Lease) -> bytes:
        """Give the plain bytes of a body.

        :raises BadBodyError: 413 too large, 415 an unknown encoding, 400 damaged gzip.
        :raises RefusedError: 408 too slow, 429 too many bodies, 400 the client went away or broke off.
        """
        connection.enter(Stage.reading)
        try:
            async with asyncio.timeout(self.settings.read_timeout.total_seconds()):
                sent = await self._receive(request, lease)
        except TimeoutError:
            raise RefusedError(408, "the body took too long") from None
        except (web.RequestPayloadError, OSError):
            raise RefusedError(400, "the body broke off") from None
        finally:
            connection.enter(Stage.answering)
        return await self._plain(request.headers.get("Content-Encoding", "").strip().lower(), sent, lease)

    async def _receive(self, request: web.BaseRequest, lease: Lease) -> bytes:
        await _invite(request)
        limit, received = self.settings.max_body, bytearray()
        async for chunk in request.content.iter_any():
            lease.take(len(chunk))
            received += chunk
            if len(received) > limit:
                length = max(len(received), request.content_length or 0)
                raise BadBodyError(413, f"the body has more than {limit} bytes", bytes(received[:limit]), length)
        return bytes(received)

    async def _plain(self, encoding: str, sent: bytes, lease: Lease) -> bytes:
        if encoding in ("", "identity"):
            return sent
        if encoding not in ("gzip", "x-gzip"):
            raise BadBodyError(415, "this Content-Encoding is not understood; send gzip or none", sent)
        async with self._inflating:
            plain = await asyncio.to_thread(gunzip, sent, self.settings.max_expanded)
        lease.take(len(plain))
        return plain


async def _invite(request: web.BaseRequest) -> None:
    """Tell a client that asks first (``Expect: 100-continue``) to go on."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def gunzip(sent: bytes, limit: int) -> bytes:
    """Decompress gzip (RFC 1952) of up to `MEMBERS` members to at most `limit` bytes.

    :raises BadBodyError: 413 it would become larger, 400 it is damaged.
    """
    parts: list[bytes] = []
    left, rest = limit, sent
    for _ in range(MEMBERS):
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        try:
            parts.append(member.decompress(rest, left + 1))
        except igzip_lib.error:  # type: ignore[misc]  # its stub declares an instance
            raise BadBodyError(400, "the gzip data is damaged", sent) from None
        left -= len(parts[-1])
        if left < 0:
            raise BadBodyError(413, f"the body decompresses to more than {limit} bytes", sent)
        if not member.eof:
            raise BadBodyError(400, "the gzip data is cut off", sent)
        rest = member.unused_data
        if not rest:
            return b"".join(parts)
    raise BadBodyError(400, f"the gzip data has more than {MEMBERS} members", sent)
