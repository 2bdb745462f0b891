"""UTF-16 to UTF-8 as a stream. It is told by its byte order mark (Unicode 16.0, section 23.8); PowerShell writes it.

An unpaired surrogate becomes U+FFFD, as in JSON text that is read leniently. A byte that is missing shifts everything
after it: then no line ends any more, but line ends are seen one byte off, and reading goes on at the first of these.
"""

from __future__ import annotations

import codecs

MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

PATIENCE = 16 << 20
"""Bytes without a line end before one that is a byte off is believed: clients can put what looks so into a line."""


def whole(raw: bytes) -> bytes:
    """Give a document in UTF-8; one without a mark as it is."""
    encoding = MARKS.get(raw[:2])
    return raw if encoding is None else raw[2:].decode(encoding, "replace").encode()


class Utf16:
    """Transcodes a stream in pieces. Holds the line that is not ended yet, `PATIENCE` bytes of it at most.

    :param mark: the first two bytes of the stream, one of `MARKS`.
    """

    def __init__(self, mark: bytes) -> None:
        self._newline = "\n".encode(MARKS[mark])
        self._decoder = codecs.getincrementaldecoder(MARKS[mark])("replace")
        self._line = bytearray()
        self._searched = 0
        """Bytes of the line in which no end is; even."""

    def feed(self, data: bytes, last: bool) -> bytes:
        """Give as UTF-8 what is complete with some more bytes (without the mark); all of it at the ``last``."""
        self._line += data
        given = [self._lines()]
        while (last or len(self._line) > PATIENCE) and (off := self._line.find(self._newline)) >= 0:
            given.append(self._decoder.decode(self._take(off), final=True) + "\n")
            self._take(len(self._newline))
            self._searched = 0
            given.append(self._lines())
        if last or len(self._line) > PATIENCE:
            size = len(self._line) if last else len(self._line) & ~1
            given.append(self._decoder.decode(self._take(size), final=last))
        return "".join(given).encode()

    def _lines(self) -> str:
        """Take the whole lines."""
        end = len(self._line)
        while (end := self._line.rfind(self._newline, self._searched, end)) >= 0 and end % 2:
            end += 1
        self._searched = len(self._line) & ~1
        return self._decoder.decode(self._take(end + len(self._newline))) if end >= 0 else ""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._line[:size])
        del self._line[:size]
        self._searched = max(0, self._searched - size)
        return taken
