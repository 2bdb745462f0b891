"""Passing over a document that has no end, without holding it."""

from __future__ import annotations

import re
from hashlib import sha256

from detector.formats.batch import Rejected

_INDENT = re.compile(rb"[ \t]{0,4096}+")


class Swallowed:
    """A document given up: its line, and the lines that by their look continue it.

    A line continues it when it is blank, begins with a closing bracket, is indented deeper, or equally deep (but not at
    all is not) without an opening bracket. So damage in a pretty-printed file is one rejected record, and a damaged
    line among JSON lines never costs the next one.
    """

    def __init__(self, reason: str, line: int, indent: bytes) -> None:
        self.reason, self.line, self.indent = reason, line, indent
        self.digest, self.length = sha256(), 0
        self.in_line = True
        self.further = False
        """True once a second line belongs to it."""
        self.over = False

    def rejected(self) -> Rejected:
        """Give the record of it."""
        return Rejected(self.reason, self.length, self.digest.hexdigest(), None, self.line)

    def go_on(self, buffer: bytes, position: int, last: bool, in_array: bool) -> tuple[int, int]:
        """Pass over bytes from ``position`` on; give where it stopped and how many line ends were passed."""
        passed = 0
        while not self.over and position < len(buffer):
            if self.in_line:
                end = buffer.find(b"\n", position)
                stop = len(buffer) if end < 0 else end
                self._add(buffer[position:stop])
                if end < 0:
                    return stop, passed
                position, self.in_line = end + 1, False
                passed += 1
                continue
            belongs = self._continues(buffer, position, last, in_array)
            if belongs is None:
                break
            if belongs:
                self._add(b"\n")
                self.in_line = self.further = True
            else:
                self.over = True
        return position, passed

    def _continues(self, buffer: bytes, position: int, last: bool, in_array: bool) -> bool | None:
        """Tell whether the line at ``position`` belongs here; None when too little of it is known."""
        found = _INDENT.match(buffer, position)
        start = position if found is None else found.end()
        if start == len(buffer):
            return True if last else None
        width, own, first = start - position, len(self.indent), buffer[start : start + 1]
        if first in b"\r\n":
            return True
        if first in b"]}":
            return width >= own and not (in_array and width <= own and first == b"]")
        return width > own or (width == own > 0 and first not in b"{[")

    def _add(self, data: bytes) -> None:
        self.digest.update(data)
        self.length += len(data)
