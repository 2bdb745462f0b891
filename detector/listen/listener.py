"""Accepting connections, within limits, and letting them go."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from detector.listen.connection import (
    LOCAL,
    SERVER,
    Connection,
    Drop,
    Observer,
    Stage,
    Unobserved,
    connection_of,
    last_answer,
)
from detector.listen.settings import Address, ListenSettings
from detector.listen.sockets import bound, bound_local
from detector.listen.tls import Certificates

log = logging.getLogger(__name__)

BACKLOG = 1_024
WATCH = 5.0
"""Seconds between two looks at the files of the certificates."""
SHUTDOWN = 5.0
"""Seconds a client has to take notice of the end of a TLS connection."""
CUT = 1.0
"""Seconds a handler has to take notice that it was cancelled."""
PAUSE = 0.1
"""Seconds to wait when the machine is out of descriptors or memory for another connection."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Serves one handler on some sockets.

    At ``max_connections`` a new one pushes out the oldest of which nothing useful ever came, then the oldest idle one;
    when all are busy the new one is closed. So a good client gets through a crowd of slow ones.
    """

    def __init__(
        self,
        limits: ListenSettings,
        handler: Handler,
        *,
        request_factory: Callable[..., web.BaseRequest] | None = None,
        observer: Observer | None = None,
        watch: float = WATCH,
    ) -> None:
        self.limits, self.handler, self.observer = limits, handler, observer or Unobserved()
        self.connections: dict[Connection, None] = {}
        self.certificates: Certificates | None = None
        self._request_factory = request_factory
        self._watch_every = watch
        self._sockets: list[socket.socket] = []
        self._paths: list[Path] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._handling: set[asyncio.Task[Any]] = set()
        self._left = asyncio.Event()

    @cached_property
    def _server(self) -> web.Server:
        return web.Server(self._handle, request_factory=self._request_factory, loop=asyncio.get_running_loop())

    async def start(self, address: Address, certificates: Certificates | None = None) -> None:
        """Listen on an address; with certificates, speak TLS.

        :raises ConfigError: the address is taken, or not ours.
        """
        self.certificates = certificates
        sockets = await bound(address)
        self._listen_on(sockets)
        self._keep(asyncio.create_task(self._watch()))

    def start_local(self, path: Path) -> None:
        """Listen on a Unix socket that only our own user may open. One left behind by a killed process is replaced."""
        sock = bound_local(path)
        self._paths.append(path)
        self._listen_on([sock])

    def _listen_on(self, sockets: Iterable[socket.socket]) -> None:
        for sock in sockets:
            sock.setblocking(False)
            sock.listen(BACKLOG)
            self._sockets.append(sock)
            self._keep(asyncio.create_task(self._accept(sock)))

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, with the ports the system gave."""
        return [Address(*sock.getsockname()[:2]) for sock in self._sockets if sock.family != socket.AF_UNIX]

    def use(self, certificates: Certificates | None) -> None:
        """Serve new connections with other certificates; those there are end once they are idle."""
        self.certificates = certificates
        for connection in list(self.connections):
            connection.retire()

    def forget(self, connection: Connection) -> None:
        """Take a connection that is gone off the table."""
        self.connections.pop(connection, None)
        self._left.set()

    async def stop(self, deadline: float) -> None:
        """Take no more connections, finish the requests under way within ``deadline`` seconds, end the rest."""
        await _cancel(self._tasks)
        for sock in self._sockets:
            sock.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._sockets, self._paths = [], []
        for connection in list(self.connections):
            connection.retire()
        try:
            async with asyncio.timeout(deadline):
                await self._until_empty()
        except TimeoutError:
            log.warning("%d connections were cut off at the deadline", len(self.connections))
        for connection in list(self.connections):
            connection.drop(Drop.stopped)
        await _cancel(self._handling)
        await self._server.shutdown(CUT)

    async def _until_empty(self) -> None:
        while self.connections or self._handling:
            self._left.clear()
            await self._left.wait()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_every)
            if self.certificates is not None and self.certificates.refresh():
                self.use(self.certificates)

    async def _accept(self, listening: socket.socket) -> None:
        troubled = False
        while True:
            try:
                sock, peer = await asyncio.get_running_loop().sock_accept(listening)
            except OSError as error:
                if not troubled:
                    log.error("no further connection can be accepted for now: %s", error)
                troubled = True
                await asyncio.sleep(PAUSE)
                continue
            troubled = False
            try:
                self._admit(sock, peer[0] if isinstance(peer, tuple) else LOCAL)
            except Exception:
                log.exception("a connection could not be served")  # the next one may be
                sock.close()
            # A crowd is let in one by one, so that those inside can say something before they are pushed out.
            await asyncio.sleep(0)

    def _admit(self, sock: socket.socket, peer: str) -> None:
        if len(self.connections) >= self.limits.max_connections and not self._make_room():
            self.observer.dropped(Drop.crowded)
            sock.close()
            return
        connection = Connection(self._server, self.limits, peer, self.observer, self.forget)
        self.connections[connection] = None
        connection.opening = opening = asyncio.create_task(self._open(sock, connection))
        opening.add_done_callback(lambda _: self._opened(sock, connection))
        self._keep(opening)

    def _opened(self, sock: socket.socket, connection: Connection) -> None:
        connection.opening = None
        if connection.stage is Stage.opening:  # it came to nothing; a cancelled task may not even have begun
            sock.close()
            self.forget(connection)

    def _make_room(self) -> bool:
        idle = [connection for connection in self.connections if connection.stage is not Stage.answering]
        victim = next((one for one in idle if not one.proven), idle[0] if idle else None)
        if victim is not None:
            self.forget(victim)
            victim.drop(Drop.crowded)
        return victim is not None

    async def _open(self, sock: socket.socket, connection: Connection) -> None:
        """Do the handshake."""
        try:
            if self.certificates is None or sock.family == socket.AF_UNIX:
                await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock)
            else:
                await self._handshake(sock, connection, self.certificates.context)
        except (OSError, ssl.SSLError) as error:
            log.debug("no connection with %s: %s", connection.peer, error)
            self.observer.dropped(Drop.handshake)

    async def _handshake(self, sock: socket.socket, connection: Connection, context: ssl.SSLContext) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection,
            sock,
            ssl=context,
            ssl_handshake_timeout=self.limits.head_timeout.total_seconds(),
            ssl_shutdown_timeout=SHUTDOWN,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Let the handler answer, and end the connection where the next request could not be trusted or read."""
        connection, task = connection_of(request), asyncio.current_task()
        assert task is not None  # noqa: S101
        self._handling.add(task)
        connection.enter(Stage.answering)
        try:
            response = await self.handler(request)
        except web.HTTPException as refusal:
            response = last_answer(refusal.status, f"{refusal.reason}\n", _allowed(refusal))
        except Exception:
            log.exception("a request failed")
            response = last_answer(500, "internal error; the log says more\n")
        finally:
            connection.enter(Stage.idle, self.limits.idle_timeout)
            self._handling.discard(task)
            self._left.set()
        response.headers["Server"] = SERVER
        connection.proven |= response.status < HTTPStatus.MULTIPLE_CHOICES
        if connection.retiring or not request.content.at_eof():
            response.force_close()
        return response


def _allowed(refusal: web.HTTPException) -> dict[str, str]:
    return {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
