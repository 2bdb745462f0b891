"""Lines of text around events: prefixes are taken away, lines that a container runtime split are joined."""

from __future__ import annotations

from detector.formats.batch import TOO_LARGE, Batch
from detector.formats.unwrap import decode_into, strip_line
from detector.formats.wrappings.base import Line


class _Parts:
    def __init__(self, line: int) -> None:
        self.line = line
        self.pieces: list[bytes] = []
        self.size = 0

    def add(self, payload: bytes, limit: int) -> None:
        self.size += len(payload)
        if self.size <= limit:
            self.pieces.append(payload)


class TextLines:
    """Takes lines of text in order; what is unfinished is kept per stream (stdout, stderr)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.parts: dict[bytes, _Parts] = {}
        self.table = False
        """True when the stream began with the head of a table: brackets at the start of a line mean nothing then."""

    def take(self, batch: Batch, raw: bytes, number: int) -> None:
        """Decode a line, or keep it when it is a part of one."""
        line = strip_line(raw)
        if line is not None and line.table and number == 1:
            self.table = True
        if line is not None and self.table:
            decode_into(batch, line.payload, self.limit)
        elif line is None or not (line.partial or line.stream in self.parts):
            decode_into(batch, raw, self.limit)
        else:
            self._join(batch, line, number)

    def _join(self, batch: Batch, line: Line, number: int) -> None:
        parts = self.parts.setdefault(line.stream, _Parts(number))
        parts.add(line.payload, self.limit)
        if line.partial:
            return
        del self.parts[line.stream]
        before = len(batch.rejected)
        if parts.size > self.limit:
            batch.reject(TOO_LARGE, b"")
            batch.rejected[-1].length = parts.size
        else:
            decode_into(batch, b"".join(parts.pieces), self.limit)
        for rejected in batch.rejected[before:]:
            rejected.line = parts.line

    def finish(self, batch: Batch) -> None:
        """Reject what was never finished."""
        for parts in self.parts.values():
            batch.reject("cut off: the last part of a split line is missing", b"".join(parts.pieces))
            batch.rejected[-1].line = parts.line
        self.parts.clear()
