"""Merging files by event time; batches pass through whole where no other file has a say."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from detector.event import Event
from detector.formats import Batch
from detector.sources.logfile import LogFile

MAX_OPEN = 64
"""Files open at once. With more that overlap, the next one waits until one ends, and order suffers a little."""

MERGED = 512
"""Events in a merged batch."""

NEVER = 1 << 80


class _Cursor:
    """A file that is being read: its batch in hand and the next event of it."""

    def __init__(self, log: LogFile, number: int) -> None:
        self.log, self.number = log, number
        self.source = log.batches()
        self.batch = Batch()
        self.index = 0
        self.time = log.time or 0

    def __lt__(self, other: _Cursor) -> bool:
        return (self.time, self.number) < (other.time, other.number)

    def advance(self) -> Batch | None:
        """Take the next batch in hand; None at the end of the file."""
        batch = next(self.source, None)
        if batch is not None:
            self.batch, self.index = batch, 0
            if batch.events:
                self.time = self._time(batch.events[0])
        return batch

    def take(self, bound: int) -> list[Event]:
        """Give the events up to a time, at least one; an event of unknown time goes with the one before."""
        events, start = self.batch.events, self.index
        self.index += 1
        while self.index < len(events):
            self.time = self._time(events[self.index])
            if self.time > bound:
                break
            self.index += 1
        return events[start : self.index]

    def whole(self, bound: int) -> bool:
        """Tell whether the batch is untouched and ends before a time."""
        return self.index == 0 and (bound == NEVER or self._time(self.batch.events[-1]) <= bound)

    def _time(self, event: Event) -> int:
        # Never back in time: small inversions inside a file are its own order.
        return max(self.time, event.time or 0)


def merge(logs: Sequence[LogFile]) -> Iterator[Batch]:
    """Give the batches of files that are sorted by their first event's time (unknown last)."""
    merger = _Merger(logs)
    try:
        yield from merger.run()
    finally:
        merger.close()


class _Merger:
    def __init__(self, logs: Sequence[LogFile]) -> None:
        self.waiting = list(reversed([_Cursor(log, number) for number, log in enumerate(logs)]))
        self.open: list[_Cursor] = []
        self.merged: list[Event] = []

    def close(self) -> None:
        for cursor in self.open:
            cursor.source.close()

    def run(self) -> Iterator[Batch]:
        while self.open or self.waiting:
            self._open_due()
            cursor = heapq.heappop(self.open)
            if cursor.index < len(cursor.batch.events):
                yield from self._give(cursor)
            if cursor.index < len(cursor.batch.events):
                heapq.heappush(self.open, cursor)
            elif (batch := cursor.advance()) is not None:
                heapq.heappush(self.open, cursor)
                if not batch.events or batch.rejected or batch.skipped:
                    yield Batch([], batch.rejected, batch.skipped, batch.path)
                    batch.rejected, batch.skipped = [], 0
        yield from self._flush(1)

    def _open_due(self) -> None:
        """Open what begins no later than what is read next; a file of unknown time when nothing else is left."""
        while self.waiting and len(self.open) < MAX_OPEN:
            log = self.waiting[-1].log
            if self.open and (log.time is None or log.time > self.open[0].time):
                return
            heapq.heappush(self.open, self.waiting.pop())

    def _bound(self) -> int:
        """Time up to which the cursor in hand may go on alone."""
        bound = self.open[0].time if self.open else NEVER
        if self.waiting and (time := self.waiting[-1].log.time) is not None:
            bound = min(bound, time)
        return bound

    def _give(self, cursor: _Cursor) -> Iterator[Batch]:
        bound = self._bound()
        if cursor.whole(bound):
            yield from self._flush(1)
            cursor.index = len(cursor.batch.events)
            yield cursor.batch
            return
        self.merged += cursor.take(bound)
        yield from self._flush(MERGED)

    def _flush(self, least: int) -> Iterator[Batch]:
        if len(self.merged) >= least:
            events, self.merged = self.merged, []
            yield Batch(events)
