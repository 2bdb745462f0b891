"""Everything around the daemon that is measured: the API server that posts, the sink that takes alerts, the floor."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import trustme
from aiohttp import web

from benchmarks.eventlists import number_of
from benchmarks.process import cpu_seconds
from tests.daemon import Daemon

SENDERS = 4
"""Bodies on their way at a time when it is to go as fast as it can."""
TIMEOUT = aiohttp.ClientTimeout(total=30)
"""As an API server."""
QUIET = 0.2
"""Seconds between two looks at whether everything is done; each costs the daemon some milliseconds."""
_WAITING = re.compile(r"^redshank_(?:journal_waiting_entries|outbox_alerts\{.*\}) (\S+)$", re.MULTILINE)


class Sink:
    """Takes alerts, and remembers when those that are new came."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, float]] = []
        """The number of the last body an alert stands on, and when it came (`time.monotonic`)."""

    async def take(self, request: web.Request) -> web.Response:
        """Take an array of alerts."""
        alerts, now = orjson.loads(await request.read()), time.monotonic()
        self.opened += [(number_of(alert["audit_ids"]), now) for alert in alerts if alert["change"] == "opened"]
        return web.Response()


class Site:
    """The daemon and its surroundings, all on this machine."""

    def __init__(
        self, daemon: Daemon, floor: subprocess.Popen[bytes], session: aiohttp.ClientSession, sink: Sink
    ) -> None:
        self.daemon, self.floor, self.session, self.sink = daemon, floor, session, sink
        self.webhook = f"https://localhost:{daemon.port}/audit/prod"
        assert floor.stdout is not None
        base = f"https://localhost:{int(floor.stdout.readline())}"
        self.decoding, self.nothing = f"{base}/decode", f"{base}/nothing"

    @property
    def pids(self) -> list[int]:
        """The processes of the daemon."""
        assert self.daemon.process is not None
        assert self.daemon.fold_pid is not None
        return [self.daemon.process.pid, self.daemon.fold_pid]

    async def post(self, url: str, body: bytes) -> None:
        """Post one body; it has to be accepted."""
        async with self.session.post(url, data=body) as response:
            if response.status != 200:
                raise RuntimeError(f"{url} answered {response.status}: {await response.text()}")

    async def post_all(self, url: str, bodies: Iterable[bytes]) -> None:
        """Post bodies as fast as they are taken."""
        waiting = iter(bodies)

        async def send() -> None:
            for body in waiting:
                await self.post(url, body)

        await asyncio.gather(*(send() for _ in range(SENDERS)))

    async def settled(self) -> None:
        """Wait until what was accepted is folded, stored and delivered."""
        while not await self._quiet():
            await asyncio.sleep(QUIET)

    async def _quiet(self) -> bool:
        async with self.session.get(f"http://127.0.0.1:{self.daemon.web_port}/metrics") as response:
            return not any(map(float, _WAITING.findall(await response.text())))

    async def cost(self, bodies: list[bytes]) -> float:
        """Give the CPU seconds the daemon needs for bodies, until their alerts are delivered."""
        before = cpu_seconds(self.pids)
        await self.post_all(self.webhook, bodies)
        await self.settled()
        return cpu_seconds(self.pids) - before

    async def floor_cost(self, bodies: list[bytes]) -> float:
        """Give the CPU seconds the floor needs for bodies."""
        before = cpu_seconds([self.floor.pid])
        await self.post_all(self.decoding, bodies)
        return cpu_seconds([self.floor.pid]) - before


@asynccontextmanager
async def running(folder: Path, journal_limit: str) -> AsyncIterator[Site]:
    """Start all of it, with a certificate authority of its own; ends it, too."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key = folder / "tls.crt", folder / "tls.key"
    cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    sink = Sink()
    async with AsyncExitStack() as undo:
        daemon = Daemon(
            folder,
            webhook={"listen": "127.0.0.1:0", "tls": {"cert": str(cert), "key": str(key)}},
            sinks=[{"name": "siem", "type": "http", "url": await _listening(sink, undo), "min_level": "informational"}],
            store={"journal_limit": journal_limit},
        )
        undo.callback(daemon.end)
        floor = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.floor", str(cert), str(key)], stdout=subprocess.PIPE
        )
        undo.callback(floor.wait)
        undo.callback(floor.kill)
        connector = aiohttp.TCPConnector(ssl=context)
        session = await undo.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=TIMEOUT))
        await asyncio.to_thread(daemon.start)
        yield Site(daemon, floor, session, sink)


async def _listening(sink: Sink, undo: AsyncExitStack) -> str:
    """Let a sink listen; gives its address."""
    application = web.Application(client_max_size=64 << 20)
    application.add_routes([web.post("/alerts", sink.take)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    undo.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}/alerts"
