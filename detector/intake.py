"""Intake: from the body of a webhook request to an answer, by law 1: 200 once its events are in the journal.

A body is decoded, its secrets are blanked, and only then is anything written. What comes again byte by byte is known by
its digest and answered when the first copy is on the disk (law 2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import NamedTuple

from detector.entries import batch_body, decode_body
from detector.errors import StoreError, StoreFullError
from detector.formats import Batch, Rejected
from detector.redaction import Redaction
from detector.sinks.base import Clock
from detector.sources.webhook import Answer, Refusal
from detector.store.entry import Appended, Kind
from detector.store.journal import Journal
from detector.store.state import State

log = logging.getLogger(__name__)

SMALL = 64 << 10
"""Bytes of a body that is decoded at once; a larger one would hold up the others, and goes to a thread."""
AGAIN = 1
"""Seconds after which an API server is asked to come again; it then tries 55 times instead of 5."""

Journaled = Callable[[str, Batch, int, Appended], None]
"""Told the cluster, what was in a body, of how many bytes, and where it is in the journal."""


class Intake:
    """Takes bodies for one journal; what cannot be taken goes to the dead letters."""

    def __init__(
        self,
        journal: Journal,
        state: State,
        clock: Clock,
        journaled: Journaled,
        redaction: Callable[[], Redaction] = Redaction,
    ) -> None:
        """``redaction`` gives what is to be blanked now, for each body anew: settings change."""
        self._journal, self._state, self._clock, self._journaled = journal, state, clock, journaled
        self._redaction = redaction
        self._decoder = ThreadPoolExecutor(1, "decode")

    async def accept(self, cluster: str, body: bytes, peer: str) -> Answer:
        """Take in the body of one request (plain bytes); gives the answer once all of it is safe, or refused."""
        redaction = self._redaction()
        if len(body) <= SMALL:
            batch, journaled, digest = _read(cluster, body, redaction)
        else:
            loop = asyncio.get_running_loop()
            batch, journaled, digest = await loop.run_in_executor(self._decoder, _read, cluster, body, redaction)
        if _useless(batch, body):
            self._bury(cluster, batch.rejected[0], peer, "body")
            return Answer(400, batch.rejected[0].reason)
        if not batch.events:
            self._journaled(cluster, batch, len(body), Appended(self._journal.last))
            self._bury_items(cluster, batch, peer)
            return Answer(200, "no audit events")
        try:
            appended = await asyncio.wrap_future(
                self._journal.append(
                    Kind.batch,
                    cluster,
                    journaled,
                    received_at=self._clock.now(),
                    events=len(batch.events),
                    digest=digest,
                )
            )
        except StoreFullError as error:
            return Answer(429, str(error), AGAIN)
        except StoreError as error:
            return Answer(503, str(error), AGAIN)
        self._journaled(cluster, batch, len(body), appended)
        if not appended.resent:
            self._bury_items(cluster, batch, peer)
        return Answer(200, "resent" if appended.resent else "accepted")

    def refused(self, refusal: Refusal) -> None:
        """Keep what is known of a body that was refused before it could be read."""
        rejected = Rejected(refusal.reason, refusal.length, refusal.digest.hex())
        self._bury(refusal.cluster, rejected, refusal.peer, "body")

    def close(self) -> None:
        """End its thread."""
        self._decoder.shutdown()

    def _bury_items(self, cluster: str, batch: Batch, peer: str) -> None:
        for rejected in batch.rejected:
            self._bury(cluster, rejected, peer, "item")

    def _bury(self, cluster: str, rejected: Rejected, peer: str, kind: str) -> None:
        self._state.dead_letter(
            kind,
            cluster,
            rejected.reason if rejected.count == 1 else f"{rejected.reason}; with {rejected.count - 1} more items",
            sha256=rejected.sha256,
            length=rejected.length,
            peer=peer,
            position=rejected.position,
            at=self._clock.now(),
        )


class _Read(NamedTuple):
    """A body: what it holds, what is written of it to the journal, and what it is known by when it comes again."""

    batch: Batch
    journaled: bytes
    digest: bytes


def _read(cluster: str, body: bytes, redaction: Redaction) -> _Read:
    """Decode a body and blank its secrets."""
    batch = decode_body(body)
    redaction.blank(batch.events)
    return _Read(batch, batch_body(batch.events) if batch.events else b"", body_digest(cluster, body))


def body_digest(cluster: str, body: bytes) -> bytes:
    """Give what a body of a cluster is known by: SHA-256, which processors have instructions for."""
    digest = sha256(cluster.encode() + b"\0")
    digest.update(body)
    return digest.digest()


def _useless(batch: Batch, body: bytes) -> bool:
    """Tell whether a body as a whole was refused, and not only items of it."""
    if batch.events or batch.skipped or len(batch.rejected) != 1:
        return False
    return batch.rejected[0].sha256 == sha256(body.strip()).hexdigest()
