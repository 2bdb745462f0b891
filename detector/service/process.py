"""A fold process as the daemon sees it. It answers on a pipe of its own: what a library prints there harms nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from detector.service.messages import LENGTH, FromFold, ToFold, from_fold, pack

STANDARD_ERROR = 2
BUFFER = 1 << 20
"""Bytes read ahead of what is being taken in."""
GRACE = 1.0
"""Seconds for the system to take away a process that was killed; one that waits for a disk stays until that answers."""


class FoldProcess:
    """One of them, from its start to its end."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, pipe: asyncio.BaseTransport
    ) -> None:
        self._process, self._reader, self._pipe = process, reader, pipe

    @classmethod
    async def start(cls) -> FoldProcess:
        """Start one; its first message is to be `Begin`."""
        ours, theirs = os.pipe()
        try:
            reader, pipe = await _reader(ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "detector.service.worker",
                    str(theirs),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=STANDARD_ERROR,  # ours is where alerts may be printed
                    pass_fds=[theirs],
                )
            except BaseException:
                pipe.close()
                raise
        finally:
            os.close(theirs)
        return cls(process, reader, pipe)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: ToFold) -> None:
        """Say something, unless it is gone."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(pack(message))

    async def receive(self) -> FromFold | None:
        """Give what it says next; None when it is gone."""
        try:
            head = await self._reader.readexactly(LENGTH)
            return from_fold(await self._reader.readexactly(int.from_bytes(head, "big")))
        except asyncio.IncompleteReadError:
            return None

    async def wait(self) -> int:
        """Give its exit code, when it has ended."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Leave nothing of it behind."""
        self.kill()
        self._pipe.close()
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._process.wait()


async def _reader(handle: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    """Read from a descriptor, which is closed with the transport."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(BUFFER, loop)
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(handle, "rb", buffering=0)
    )
    return reader, pipe
