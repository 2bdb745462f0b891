"""The entry of the journal that the fold was at when it died.

What ends the process (a crash inside a library, no memory) cannot be caught inside it. So after a death, and after each
start of the daemon, the fold goes one by one and says which entry it begins with. One that was begun `TRIES` times and
never ended is passed over (law 3): that is written into the journal, so that whoever folds it later does the same.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from contextlib import suppress
from hashlib import sha256

from detector.errors import StoreError
from detector.store.directory import Store

TRIES = 3
SUSPECT = "suspect"
"""Under this name the state keeps what was begun: where the whole container dies, the daemon dies with its fold."""

log = logging.getLogger(__name__)


class Suspect:
    """Keeps in mind which entry was begun, and how often."""

    def __init__(self, store: Store) -> None:
        self._journal, self._state = store.journal, store.state
        self.offset, self.tries = self._remembered()

    def _remembered(self) -> tuple[int, int]:
        offset, tries = map(int, (self._state.meta(SUSPECT) or "-1 0").split())
        return (offset, tries) if offset > self._state.emitted_offset else (-1, 0)

    def begun(self, offset: int) -> None:
        """Hear that the fold begins with an entry."""
        self.tries = self.tries + 1 if offset == self.offset else 1
        self.offset = offset
        self._remember()  # without which a death of both counts less

    async def survived(self, offset: int) -> None:
        """Hear that the fold has come to an offset; that is on the disk when this returns.

        Whatever ends the daemon after that was not of the fold's doing.
        """
        if self.tries and offset >= self.offset:
            self.offset, self.tries = -1, 0
            with suppress(StoreError):
                await asyncio.wrap_future(self._remember())

    async def pass_over(self) -> bool:
        """Have the entry passed over, if it has been begun too often; tells whether it was."""
        if self.tries < TRIES:
            return False
        try:
            entry = await asyncio.wrap_future(self._journal.pass_over(self.offset))
        except StoreError as error:
            log.error("entry %s of the journal should be passed over: %s", self.offset, error)
            return False
        reason = f"passed over: the fold died {self.tries} times of entry {self.offset} of the journal"
        log.error("%s (cluster %s, %s events)", reason, entry.cluster or "none", entry.events)
        digest = sha256(entry.body).hexdigest()
        self._state.dead_letter("body", entry.cluster, reason, sha256=digest, length=len(entry.body))
        await self.survived(self.offset)
        return True

    def _remember(self) -> Future[None]:
        return self._state.set_meta(SUSPECT, f"{self.offset} {self.tries}")
