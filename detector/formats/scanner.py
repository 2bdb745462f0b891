"""Finding where a JSON document ends, without parsing it.

Only brackets and strings are looked at, so that a document can be cut out and judged by itself whatever it holds: one
that no parser takes costs no neighbour, even where a whole file is one line. Time is linear in the bytes looked at.
"""

from __future__ import annotations

import re
from enum import Enum

from detector.formats.native import UNREADABLE, typed

MAX_DEPTH = 10_000
"""Go's JSON stops here, so no API server has written a deeper document."""

_PLAIN = rb'(?:[^"{}\[\]]++|"(?:[^"\\\n]++|\\[^\n])*+")'
_FLAT = rb"[{\[](?:" + _PLAIN + rb")*+[}\]]"
_NESTED = rb"[{\[](?:" + _PLAIN + rb"|" + _FLAT + rb")*+[}\]]"
_SKIP = re.compile(rb"(?:" + _PLAIN + rb"|" + _NESTED + rb")*+")
"""Everything but unclosed brackets and strings; two levels of nesting at once, which is most of an audit event."""

_OPEN_STRING = re.compile(rb'"(?:[^"\\\n]++|\\[^\n])*+\\?')

WINDOW = 1 << 13
"""Bytes looked at first: most documents are smaller, and what follows them is not to be searched for each."""

OPENING = b"{["
QUOTE = 0x22
_LOOK_BACK = 1 << 12


_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")


def parsed_end(buffer: bytes, start: int, stop: int) -> int | None:
    """Give where the valid document that begins at ``start`` ends, by asking the parser; None when it cannot tell.

    This is eight times as fast as a `Scan`, which is needed where the document is not valid, complete, or followed by
    anything.
    """
    try:
        typed(memoryview(buffer)[start:stop])
    except UNREADABLE as error:
        found = _TRAILING.search(str(error))
        return start + len(buffer[start : start + int(found[1]) - 1].rstrip()) if found else None
    return None


class End(Enum):
    """How far a `Scan` got."""

    FOUND = "found"
    MORE = "more bytes are needed"
    BROKEN = "the document cannot be JSON"
    DEEP = "nested too deep"


class Scan:
    """A scan for the end of the document that begins at ``start`` of a buffer; it may go on in a longer buffer.

    A line that begins like the document's own, with a brace at the same ``indent``, ends it unless a value may stand
    there: so a document that was cut off is noticed at the next one and not at the end of the file.
    """

    def __init__(self, start: int, indent: bytes = b"") -> None:
        self.position = self.floor = start
        self.indent = indent
        self.stack = bytearray()
        self.patient = True
        """False: the end of the line is the end."""
        self.large = False
        """True beyond the size up to which lists are taken whole."""

    def rebase(self, offset: int) -> None:
        """Adapt to a buffer that begins ``offset`` bytes later."""
        self.position -= offset
        self.floor -= offset

    def search(self, buffer: bytes, horizon: int) -> End:
        """Scan up to ``horizon``; when FOUND, ``position`` is the byte after the document."""
        mark = b"\n" + self.indent + b"{" if self.patient else b"\n"
        window = WINDOW
        while True:
            begin = max(self.floor, self.position - len(mark))
            edge = min(horizon, begin + window)
            cut = buffer.find(mark, begin, edge)
            end = self._run(buffer, edge if cut < 0 else cut)
            if end is not End.MORE or (cut < 0 and edge == horizon):
                return end
            if cut < 0:
                window *= 2
            elif self.patient and self._may_go_on(buffer, cut):
                self.floor = cut + 1
            else:
                return End.BROKEN

    def _run(self, buffer: bytes, stop: int) -> End:
        while True:
            if self.stack:
                self.position = _end(_SKIP.match(buffer, self.position, stop), self.position)
            if self.position >= stop:
                return End.MORE
            byte = buffer[self.position]
            if byte == QUOTE:
                return self._unclosed_string(buffer, stop)
            self.position += 1
            if byte in OPENING:
                self.stack.append(byte)
            else:
                self.stack.pop()
            if not self.stack:
                return End.FOUND
            if len(self.stack) > MAX_DEPTH:
                return End.DEEP

    def _unclosed_string(self, buffer: bytes, stop: int) -> End:
        reached = _end(_OPEN_STRING.match(buffer, self.position, stop), self.position)
        return End.MORE if reached >= stop else End.BROKEN

    def _may_go_on(self, buffer: bytes, cut: int) -> bool:
        """Tell whether a value may stand at ``cut``, after all that was scanned."""
        before = buffer[max(0, cut - _LOOK_BACK) : cut].rstrip()[-1:]
        return before == b":" or (before in (b",", b"[") and self.stack[-1:] == b"[")


def _end(match: re.Match[bytes] | None, otherwise: int) -> int:
    return otherwise if match is None else match.end()
