"""A real HTTP server on loopback that answers as it is told, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]

FAULTS = ("500", "401", "429", "503", "redirect", "garbage", "empty", "html", "reset", "cut", "hang", "endless")
"""What a server may do instead of answering."""


class Server:
    """Listens on a free port of 127.0.0.1; each of ``faults`` spoils one request."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handler, self._tls = handler, tls
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.faults: deque[str] = deque()
        self.requests: list[tuple[web.Request, bytes]] = []
        """All that was asked, the spoiled ones included."""
        self.echo = False
        """Answer everything with 500 and a copy of the request."""

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port or 1}"

    async def start(self, faults: Iterable[str] = ()) -> None:
        self.faults.extend(faults)
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request, body))
        if self.echo:
            copy = f"{request.method} {request.path_qs} {dict(request.headers)} {body.decode('utf-8', 'replace')}"
            return web.Response(status=500, text=copy)
        if self.faults:
            return await spoil(request, self.faults.popleft())
        return await self._handler(request, body)


async def spoil(request: web.Request, fault: str) -> web.StreamResponse:
    """Do something else than answer."""
    match fault:
        case "500" | "503" | "401":
            return web.Response(status=int(fault), text="no\x1b[31m such\r\nluck")
        case "429":
            return web.Response(status=429, headers={"Retry-After": "77"})
        case "redirect":
            return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})
        case "garbage":
            return web.Response(body=b"\x00\xff\xfe[{]}", content_type="application/json")
        case "empty":
            return web.Response(body=b"")
        case "html":
            return web.Response(text="<html><title>Sign in</title>", content_type="text/html")
        case "hang":
            await asyncio.sleep(60)
        case "cut" | "endless":
            return await stream(request, endless=fault == "endless")
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def stream(request: web.Request, *, endless: bool) -> web.StreamResponse:
    """Begin an answer and break off, or never end it."""
    response = web.StreamResponse(headers={"Content-Length": "1000000000"})
    await response.prepare(request)
    await response.write(b"[")
    while endless:
        await response.write(b" " * (1 << 20))
    assert request.transport is not None
    request.transport.abort()
    return response


def answer(record: Any, status: int = 200) -> web.Response:
    """Give an answer in JSON."""
    return web.json_response(record, status=status)
