"""One connection of a client: aiohttp's handler of requests, with time limits of its own for every stage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, Protocol

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from detector.listen.settings import ListenSettings
from detector.listen.tls import names_of

log = logging.getLogger(__name__)

LINGER = 5.0
"""Seconds during which the rest of a refused body is read and dropped: a client that is still sending would see a reset
connection instead of the answer."""

SERVER = "redshank"
"""What answers say they come from; aiohttp would tell everybody its version."""
LOCAL = "local"
"""The peer of a connection through a Unix socket: who may open it was for the file system to say."""


class Stage(Enum):
    """What a connection is waiting for."""

    opening = 0
    """The TLS handshake."""
    idle = 1
    """The first byte of a request."""
    head = 2
    """The rest of a head."""
    reading = 3
    """The rest of a body."""
    answering = 4
    """Our answer: it is not to be disturbed."""


class Drop(StrEnum):
    """Why a connection was ended by us, without an answer."""

    handshake = "handshake"
    slow = "slow"
    crowded = "crowded"
    stopped = "stopped"


class Observer(Protocol):
    """Who counts what happens. `seconds` is from the end of the head to the answer."""

    def answered(self, status: int, seconds: float) -> None: ...
    def dropped(self, why: Drop) -> None: ...


class Unobserved:
    """Nobody counts."""

    def answered(self, status: int, seconds: float) -> None: ...
    def dropped(self, why: Drop) -> None: ...


class _NoAccessLog(AbstractAccessLogger):
    """Requests are counted, not logged one by one."""

    @property
    def enabled(self) -> bool:
        return False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None: ...


class Connection(web.RequestHandler):
    """A client. It exists from the moment it is accepted, so that handshakes count against the limit too.

    `gone` is called when it is no more.
    """

    def __init__(
        self,
        server: web.Server,
        limits: ListenSettings,
        peer: str,
        observer: Observer,
        gone: Callable[[Connection], None],
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log_class=_NoAccessLog,
            auto_decompress=False,  # else a body of 1 MB could become one of 1 GB before anyone is asked
            lingering_time=LINGER,
        )
        self.limits, self.peer, self.observer, self._gone = limits, peer, observer, gone
        self.stage = Stage.opening
        self.opening: asyncio.Task[None] | None = None
        """The handshake."""
        self.proven = False
        """A request of its was answered well."""
        self.retiring = False
        """The answer under way is the last."""
        self.names: frozenset[str] = frozenset()
        """Names in the client's certificate."""
        self._wire: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, stage: Stage, limit: timedelta | None = None) -> None:
        """Go on to a stage that may take so long."""
        self.stage = stage
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if limit is None else self._loop.call_later(limit.total_seconds(), self._expire)

    def _expire(self) -> None:
        if self.stage is Stage.idle and self.proven:
            self.retire()  # in order, and nothing to count
        else:
            self.drop(Drop.slow)

    def drop(self, why: Drop) -> None:
        """End it now, whatever is under way."""
        self.observer.dropped(why)
        self.enter(self.stage)
        if self._wire is not None:
            self._wire.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def retire(self) -> None:
        """End it when nothing is lost by it: now if it is idle, else after the answer."""
        self.retiring = True
        if self.stage is Stage.opening:
            self.drop(Drop.stopped)
        elif self.stage is Stage.idle and self._wire is not None:
            self._wire.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._wire = self.transport
        self.names = names_of(transport.get_extra_info("peercert"))
        self.enter(Stage.idle, self.limits.head_timeout)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; the first ones after an answer begin a head."""
        if self.stage is Stage.idle:
            self.enter(Stage.head, self.limits.head_timeout)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Say so."""
        self.enter(self.stage)
        self._gone(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP. Its words and a traceback belong neither into the log nor into the answer."""
        log.debug("no valid HTTP from %s: %s", self.peer, type(exc).__name__)
        self.observer.answered(status, 0.0)
        return last_answer(status, "this is not a valid HTTP/1.1 request\n")


def answer(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """Make an answer of plain text."""
    fixed = {"X-Content-Type-Options": "nosniff", "Server": SERVER}
    return web.Response(status=status, text=text, headers={**fixed, **(headers or {})})


def last_answer(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """Make an answer after which the connection ends."""
    response = answer(status, text, headers)
    response.force_close()
    return response


def connection_of(request: web.BaseRequest) -> Connection:
    """Give the connection a request came on."""
    connection: Any = request.protocol
    assert isinstance(connection, Connection)  # noqa: S101 - only the listener makes them
    return connection
