"""Intake: from the body of a webhook request to an answer, by law 1: 200 once its events are in the journal.

A body is decoded, its secrets are blanked, and only then is anything written. What comes again byte by byte is known by
its digest and answered when the first copy is on the disk (law 2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b, sha256

from detector.entries import batch_body
from detector.errors import StoreError, StoreFullError
from detector.formats import Batch, Rejected, decode_batch
from detector.redaction import blank
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

    def __init__(self, journal: Journal, state: State, clock: Clock, journaled: Journaled) -> None:
        self._journal, self._state, self._clock, self._journaled = journal, state, clock, journaled
        self._decoder = ThreadPoolExecutor(1, "decode")

    async def accept(self, cluster: str, body: bytes, peer: str) -> Answer:
        """Take in the body of one request (plain bytes); gives the answer once all of it is safe, or refused."""
        if len(body) <= SMALL:
            batch, journaled = _read(body)
        else:
            batch, journaled = await asyncio.get_running_loop().run_in_executor(self._decoder, _read, body)
        if _useless(batch, body):
            self._bury(cluster, batch.rejected[0], peer, "body")
            return Answer(400, batch.rejected[0].reason)
        if not batch.events:
            self._journaled(cluster, batch, len(body), Appended(self._journal.last))
            self._bury_items(cluster, batch, peer)
            return Answer(200, "no audit events")
        digest = blake2b(body, digest_size=32, person=b"redshank-body", key=cluster.encode()[:64]).digest()
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
            rejected.reason,
            sha256=rejected.sha256,
            length=rejected.length,
            peer=peer,
            position=rejected.position,
            at=self._clock.now(),
        )


def _read(body: bytes) -> tuple[Batch, bytes]:
    """Decode a body and blank its secrets; gives what it holds, and what to write to the journal."""
    batch = decode_batch(body)
    for event in batch.events:
        blank(event)
    return batch, batch_body(batch.events) if batch.events else b""


def _useless(batch: Batch, body: bytes) -> bool:
    """Tell whether a body as a whole was refused, and not only items of it."""
    if batch.events or batch.skipped or len(batch.rejected) != 1:
        return False
    return batch.rejected[0].sha256 == sha256(body.strip()).hexdigest()
