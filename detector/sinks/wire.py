"""Wires for syslog: a stream of counted frames, and datagrams."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import struct
import termios
from collections.abc import Sequence

from detector.sinks.base import Clock, Failure, RetryError
from detector.sinks.tls import ClientTLS

POLL = 0.01
"""Seconds between looks at what the other machine has not acknowledged yet."""


HEARD = 2
"""Turns of the event loop after which it has taken note of what happened to a socket before."""


class _Peer(asyncio.Protocol):
    """The other end of a connection: whether it is there, and whether all was written. What it says is dropped."""

    def __init__(self) -> None:
        self.lost = ""
        """Why nothing can be sent any more."""
        self.empty = asyncio.Event()
        self.empty.set()
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        self.empty.clear()

    def resume_writing(self) -> None:
        self.empty.set()

    def eof_received(self) -> None:
        self.lost = self.lost or "the server closed the connection"

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = str(exc) if exc else self.lost or "the connection was closed"
        self.empty.set()
        self.closed.set()


class Stream:
    """Messages over TCP or TLS, each with its length before it (RFC 6587, 3.4.1)."""

    def __init__(self, host: str, port: int, tls: ClientTLS | None, clock: Clock) -> None:
        self._host, self._port, self._tls, self._clock = host, port, tls, clock
        self._connection: tuple[asyncio.Transport, _Peer] | None = None
        self._turn = asyncio.Lock()

    async def send(self, messages: Sequence[bytes]) -> list[Failure]:
        """Send messages, and wait until the other machine has acknowledged them. Raises RetryError, ConfigError."""
        async with self._turn:
            transport, peer = await self._connected()
            try:
                transport.write(b"".join(b"%d %s" % (len(message), message) for message in messages))
                await peer.empty.wait()
                while unacknowledged(transport) and not await _lost(peer):
                    await self._clock.sleep(POLL)
            except BaseException:
                self._drop()  # half a frame may have been sent
                raise
            if await _lost(peer):
                raise RetryError(peer.lost)
        return []

    async def _connected(self) -> tuple[asyncio.Transport, _Peer]:
        if self._connection is None or await _lost(self._connection[1]):
            self._drop()
            context = self._tls.context() if self._tls is not None else None
            loop = asyncio.get_running_loop()
            try:
                self._connection = await loop.create_connection(_Peer, self._host, self._port, ssl=context)
            except OSError as error:
                raise RetryError(f"{self._host}:{self._port}: {error}") from None
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection[0].abort()
            self._connection = None

    async def close(self) -> None:
        """Close the connection, TLS included."""
        if self._connection is not None:
            transport, peer = self._connection
            transport.close()
            self._connection = None
            try:
                await peer.closed.wait()
            finally:
                transport.abort()


async def _lost(peer: _Peer) -> bool:
    """Tell whether a connection is of no more use; what the system has heard of by now counts."""
    for _ in range(HEARD):
        await asyncio.sleep(0)
    return bool(peer.lost)


def unacknowledged(transport: asyncio.BaseTransport) -> int:
    """Give the bytes that the other machine has not acknowledged yet; 0 where the system does not tell."""
    connection = transport.get_extra_info("socket")
    try:
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        return 0
    (count,) = struct.unpack("i", answer)
    return int(count)


class _Errors(asyncio.DatagramProtocol):
    """Keeps the last error of a socket: a refusal of one datagram is heard of with the next."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.closed = asyncio.Event()

    def error_received(self, exc: Exception) -> None:
        self.error = exc

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def taken(self) -> Exception | None:
        error, self.error = self.error, None
        return error


class Datagrams:
    """Messages over UDP, one in a datagram (RFC 5426)."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._endpoint: tuple[asyncio.DatagramTransport, _Errors] | None = None

    async def send(self, messages: Sequence[bytes]) -> list[Failure]:
        """Send messages; those too large for a datagram are refused. Raises RetryError."""
        transport, errors = await self._opened()
        failures = []
        for place, message in enumerate(messages):
            transport.sendto(message)
            await asyncio.sleep(0)  # so that a refusal that has come is heard
            if (error := errors.taken()) is None:
                continue
            if isinstance(error, OSError) and error.errno == errno.EMSGSIZE:
                failures.append(Failure(place, f"{len(message)} bytes are too many for a datagram", permanent=True))
            else:
                await self.close()
                raise RetryError(f"{self._host}:{self._port}: {error}")
        return failures

    async def _opened(self) -> tuple[asyncio.DatagramTransport, _Errors]:
        if self._endpoint is None:
            loop = asyncio.get_running_loop()
            place = (self._host, self._port)
            try:
                self._endpoint = await loop.create_datagram_endpoint(_Errors, remote_addr=place)
            except OSError as error:
                raise RetryError(f"{self._host}:{self._port}: {error}") from None
        return self._endpoint

    async def close(self) -> None:
        """Close the socket; the name is looked up again for the next."""
        if self._endpoint is not None:
            transport, errors = self._endpoint
            self._endpoint = None
            transport.close()
            await errors.closed.wait()
