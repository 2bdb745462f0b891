"""Which bodies were journaled of late: an API server that got no answer sends the same bytes again."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import NamedTuple

from detector.event import SECOND
from detector.store.entry import Appended

WINDOW = 1800 * SECOND
"""How long a body is remembered; an API server gives up after minutes."""
MOST = 1 << 17
"""Bodies remembered at most: 30 minutes of 70 bodies a second."""


class _Copy(NamedTuple):
    received_at: int
    first: Future[Appended] | int
    """The offset; the future while it is not yet on the disk."""


class Resends:
    """The bodies of the last `WINDOW`, by their digest, oldest first."""

    def __init__(self, known: Iterable[tuple[bytes, int, int]] = ()) -> None:
        """``known``: digest, offset and time of arrival of what is on the disk, in order."""
        self._copies = {digest: _Copy(received_at, offset) for digest, offset, received_at in known}

    def __len__(self) -> int:
        return len(self._copies)

    def find(self, digest: bytes, received_at: int) -> Future[Appended] | int | None:
        """Give the offset of the first copy, or its future; None for a body that is new or could not be written."""
        copy = self._copies.get(digest)
        if copy is None or abs(received_at - copy.received_at) > WINDOW:
            return None
        if isinstance(copy.first, Future) and copy.first.done() and copy.first.exception() is not None:
            return None
        return copy.first

    def begin(self, digest: bytes, received_at: int, first: Future[Appended]) -> None:
        """Remember a body that is being written."""
        self._copies.pop(digest, None)
        self._copies[digest] = _Copy(received_at, first)
        self._forget(received_at)

    def settle(self, digest: bytes, first: Future[Appended]) -> None:
        """Hear what became of it: remember its offset, or forget it."""
        copy = self._copies.get(digest)
        if copy is None or copy.first is not first:
            return
        if first.exception() is None:
            self._copies[digest] = copy._replace(first=first.result().offset)
        else:
            del self._copies[digest]

    def oldest(self) -> int | None:
        """Give the offset of the oldest body remembered; None while that has none."""
        copy = next(iter(self._copies.values()), None)
        return copy.first if copy is not None and isinstance(copy.first, int) else None

    def _forget(self, now: int) -> None:
        """Let go of what is too old. A clock that is set back makes all of it so."""
        while self._copies:
            digest, copy = next(iter(self._copies.items()))
            if len(self._copies) <= MOST and abs(now - copy.received_at) <= WINDOW:
                return
            del self._copies[digest]
