"""Clients that speak HTTP byte by byte, good and bad, and certificates for both ends."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import trustme

from detector.listen import Address, Drop, TLSSettings

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which a test that waits for something fails instead."""
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a test's scenario to its end."""

    async def patiently() -> T:
        async with asyncio.timeout(PATIENCE):
            return await scenario

    return asyncio.run(patiently())


@dataclass
class Seen:
    """An observer that remembers."""

    statuses: Counter[int] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)

    def answered(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1

    def dropped(self, why: Drop) -> None:
        self.drops[str(why)] += 1


async def until(what: Any) -> None:
    """Wait until a condition holds."""
    while not what():
        await asyncio.sleep(0.005)


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A connection on which a test says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(head[0].split()[1]), headers, body)

    async def post(self, path: str, body: bytes = b"{}", **headers: str) -> Reply:
        await self.say(request(path, body, **headers))
        return await self.reply()

    async def ended(self) -> bytes:
        """Wait until the other end closes; gives what came before."""
        try:
            return await self.reader.read()
        except (ConnectionError, ssl.SSLError):
            return b""

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()


def request(path: str, body: bytes = b"{}", method: str = "POST", **headers: str) -> bytes:
    """Give the bytes of a request as a kube-apiserver writes it; ``_`` in names of headers stands for ``-``."""
    fields = {"Host": "redshank", "Content-Length": str(len(body)), "Content-Type": "application/json"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path}?timeout=30s HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def client(where: Address | Path, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """Connect."""
    if isinstance(where, Path):
        opened = await asyncio.open_unix_connection(str(where))
    else:
        name = "localhost" if context else None
        opened = await asyncio.open_connection(where.host, where.port, ssl=context, server_hostname=name)
    one = Client(*opened)
    try:
        yield one
    finally:
        await one.close()


class Authority:
    """A CA with certificates of a server and of clients, as files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca = folder, trustme.CA()
        self.ca.cert_pem.write_to_path(str(self.path("ca.pem")))
        self.serve()

    def path(self, name: str) -> Path:
        return self.folder / name

    def serve(self, *, expired: bool = False) -> None:
        """Write a certificate for the server, in place of the one there."""
        issued = self.ca.issue_cert("localhost", not_after=LONG_AGO if expired else None)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for name, data in (("key.pem", issued.private_key_pem.bytes()), ("cert.pem", chain)):
            new = self.path(f"{name}.new")
            new.write_bytes(data)
            new.rename(self.path(name))

    def settings(self, *, clients: bool = False) -> TLSSettings:
        ca = self.path("ca.pem") if clients else None
        return TLSSettings(cert=self.path("cert.pem"), key=self.path("key.pem"), client_ca=ca)

    def trusting(
        self, name: str | None = None, *, expired: bool = False, by: Authority | None = None
    ) -> ssl.SSLContext:
        """Give a client's context, with a certificate of a name."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if name is not None:
            until_then = LONG_AGO if expired else None
            (by or self).ca.issue_cert(common_name=name, not_after=until_then).configure_cert(context)
        return context
