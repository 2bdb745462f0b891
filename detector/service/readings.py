"""What the databases, the disk and the fold's memory say, for metrics and health.

It is read on one thread, through connections of its own: a disk that is slow, or a long list that somebody asks for,
holds up the next reading and nothing else.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from detector.service.configuration import RULES
from detector.store.database import explained
from detector.store.deliveries import Depth, depth
from detector.store.directory import Store
from detector.store.migrate import open_for_reading
from detector.store.reader import JournalReader
from detector.store.tables import STATE

_RULES = "SELECT coalesce((SELECT value FROM meta WHERE key = ?), '')"


class Reading(NamedTuple):
    """What was read."""

    since: int | None
    """When the oldest entry arrived that is not folded, in microseconds since 1970; None where all are."""
    depths: dict[str, Depth]
    """What waits for each sink."""
    rules: str
    """The digest of the rules in force."""
    snapshot: tuple[float, int] | None
    """When the newest was taken, in seconds since 1970, and its bytes."""
    memory: int
    """Bytes the fold process holds; 0 where the system does not tell."""


class Readings:
    """Reads beside the writers. Its methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._snapshots = store.snapshots.directory
        self._journal = JournalReader(store.journal.path)
        self._path = store.state.path
        try:
            self._state = open_for_reading(self._path, STATE)
        except BaseException:
            self._journal.close()
            raise
        self._thread = ThreadPoolExecutor(1, "readings")

    async def read(self, offset: int, fold: int | None) -> Reading:
        """Read everything: what is folded up to ``offset``, by the process ``fold``."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, offset, fold)

    async def close(self) -> None:
        """Close its connections, after the reading that is under way."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._journal.close)
        await loop.run_in_executor(self._thread, self._state.close)
        self._thread.shutdown(wait=False)

    def _read(self, offset: int, fold: int | None) -> Reading:
        since = self._journal.received_after(offset)
        with explained(self._path):
            (rules,) = self._state.execute(_RULES, (RULES,)).fetchone()
            return Reading(since, depth(self._state), rules, self._newest(), 0 if fold is None else _memory(fold))

    def _newest(self) -> tuple[float, int] | None:
        newest = max(self._snapshots.glob("*.snap"), default=None)
        with suppress(OSError):  # it may just have gone for a newer one
            if newest is not None:
                status = newest.stat()
                return status.st_mtime, status.st_size
        return None


def _memory(process: int) -> int:
    """Give the bytes of memory a process holds: the second number of proc_pid_statm(5), in pages."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
