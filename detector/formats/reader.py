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
from detector.formats.native import CODE_LIMIT, UNREADABLE, V1, clean, is_event, typed
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
        # Not split(b"\n"), which looks at every byte in turn where this one has memchr.
        lines = BytesIO(data).readlines()
        valid = clean(data) and clean(self.rest)
        if not lines:
            return self.rest
        lines[0] = self.rest + lines[0]
        left = b"" if lines[-1].endswith(b"\n") else lines.pop()
        decode, add, splitter = typed, batch.events.append, self.splitter
        whole = splitter.whole
        number = 0
        for line in lines:
            number += 1
            try:
                event = decode(line)
            except UNREADABLE:
                pass
            else:
                status = event.responseStatus
                if (
                    ((event.verb and event.apiVersion == V1 and event.kind == "Event") or is_event(event))
                    and (status is None or (code := status.code) is None or -CODE_LIMIT <= code < CODE_LIMIT)
                    and (valid or clean(line))
                    and len(line) <= whole
                ):
                    add(event)
                    continue
            if not splitter.line(batch, line, number):
                number -= 1
                splitter.busy, splitter.lead = True, b""
                left = b"".join(lines[number:]) + left
                break
        splitter.passed(number, sum(map(len, lines[:number])))
        return left
