"""Streams of records: `read` gives batches of about one chunk, with memory flat for a stream of any size.

Where every line is one document (the usual case) a chunk is split and each line decoded at once. Anything else, from
pretty-printed files to one array of many gigabytes, goes through the `Splitter`. Both give the same records for the
same bytes, so results do not depend on where chunks end.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from detector.formats.batch import RECORD_LIMIT, Batch
from detector.formats.compression import Readable
from detector.formats.native import UNREADABLE, all_usable, clean, fast, typed_lines
from detector.formats.splitter import Splitter
from detector.formats.utf16 import MARKS, Utf16

CHUNK = 1 << 17
"""Bytes asked of a stream at a time: what becomes of them stays in the processor's cache, and that saves a third."""

_BOM = b"\xef\xbb\xbf"


def read(stream: Readable, *, limit: int = RECORD_LIMIT, chunk: int = CHUNK) -> Iterator[Batch]:
    """Decode a stream of plain bytes; for a compressed one see `decompress`. UTF-16 is told by its mark.

    :param stream: gives bytes; short reads are taken as they come, so that a slow pipe is followed without delay.
    :param limit: bytes one record may have; a larger one is rejected without being held.
    :param chunk: bytes per read.
    :returns: batches that hold at least one event, rejected or skipped record.
    """
    reader = _Reader(limit)
    while data := stream.read(max(chunk, len(reader.rest))):
        batch = reader.feed(data, False)
        if batch:
            yield batch
    batch = reader.feed(b"", True)
    problem = getattr(stream, "problem", "")
    if problem:
        batch.reject(problem, b"")
    if batch:
        yield batch


class _Reader:
    def __init__(self, limit: int) -> None:
        self.rest = b""
        """What the last chunk left over: the beginning of a record."""
        self.begun = False
        self.utf16: Utf16 | None = None
        self.splitter = Splitter(limit)

    def feed(self, data: bytes, last: bool) -> Batch:
        batch = Batch()
        if not self.begun:
            data = self.rest + data
            if len(data) < len(_BOM) and not last:
                self.rest = data
                return batch
            if data[:2] in MARKS:
                self.utf16, data = Utf16(data[:2]), data[2:]
            data, self.rest, self.begun = data.removeprefix(_BOM), b"", True
        if self.utf16 is not None:
            data = self.utf16.feed(data, last)
        buffer = self.rest + data if self.splitter.busy else self._lines(batch, data)
        self.rest = buffer[self.splitter.split(batch, buffer, last) :]
        return batch

    def _lines(self, batch: Batch, data: bytes) -> bytes:
        """Decode lines up to the first that is not one record; give what is left from there on."""
        end = data.rfind(b"\n") + 1
        if not end:
            return self.rest + data
        block = self.rest + data[:end]
        if self._at_once(batch, block):
            return data[end:]
        return self._one_by_one(batch, block) + data[end:]

    def _at_once(self, batch: Batch, block: bytes) -> bool:
        """Decode whole lines in one go; False, and nothing done, unless every one is an event as it should be."""
        try:
            events = typed_lines(block)
        except UNREADABLE:
            return False
        number = _count_lines(block)
        if len(events) != number or len(block) > self.splitter.whole or not (all_usable(events) and clean(block)):
            return False
        batch.events += events
        self.splitter.passed(number, len(block))
        return True

    def _one_by_one(self, batch: Batch, block: bytes) -> bytes:
        # Not split(b"\n"), which looks at every byte in turn where this one has memchr.
        lines = BytesIO(block).readlines()
        splitter = self.splitter
        number = 0
        for line in lines:
            number += 1
            event = fast(line) if len(line) <= splitter.whole else None
            if event is not None:
                batch.events.append(event)
            elif not splitter.line(batch, line, number):
                number -= 1
                splitter.busy, splitter.lead = True, b""
                break
        splitter.passed(number, sum(map(len, lines[:number])))
        return b"".join(lines[number:])


def _count_lines(block: bytes) -> int:
    # Not count(b"\n"), which looks at every byte in turn where find has memchr.
    number = end = 0
    while end := block.find(b"\n", end) + 1:
        number += 1
    return number
