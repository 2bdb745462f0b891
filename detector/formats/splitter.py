"""Cutting a stream into documents where lines do not: pretty-printed, back to back, or one large array.

A top-level array is entered and its elements are taken one by one; so is the list of an EventList or a similar object
that does not end within `STEP` bytes. After a document that has no end, reading goes on at the next line that begins as
its own line did, with an opening bracket.
"""

from __future__ import annotations

import re

from detector.formats.batch import TOO_LARGE, Batch
from detector.formats.recovery import Swallowed
from detector.formats.scanner import End, Scan, parsed_end
from detector.formats.text import TextLines
from detector.formats.unwrap import decode_into, decode_strictly
from detector.formats.wrappings.prefixed import MAX_PREFIX

STEP = 8 << 20
"""An object with a list of records is taken as a whole up to this size, in bytes, and entered beyond."""

PATIENCE = 1 << 20
"""Bytes that may be scanned in vain, beside four times what was read, before every line counts as a document."""

BRACE, OPENING, CLOSING = b"{[]"
_MAX_LEAD = 256
_BETWEEN = re.compile(rb"[\s,\[\]\x1e]*")
_BETWEEN_IN_LIST = re.compile(rb"[\s,\[\x1e]*")
_BETWEEN_ROWS = re.compile(rb"\s*")
_SPACE = re.compile(rb"[\s,\x1e]+")
_MEMBER = rb'"[^"\\]{0,256}"\s*:\s*(?:"[^"\\]{0,4096}"|\{[^{}]{0,4096}\}|[^{}\[\]",\s]{1,64})\s*'
_NAME = rb'"(?:items|records|logEvents|events|Records|entries)"\s*:\s*\['
_LIST = re.compile(rb"\{\s*(?:" + _MEMBER + rb",\s*){0,16}" + _NAME)
_LIST_END = re.compile(rb"\]\s*(?:,\s*" + _MEMBER + rb"){0,16}\}")
_LIST_END_SIZE = 1 << 17
_LABEL = re.compile(rb'[^\s"{}\[\],][^"{}\[\]\n]*+\][^{}\[\]\n]*+(\{)?')
_ITEM = re.compile(rb'"(?:[^"\\\n]++|\\[^\n])*+"|[^"{}\[\]\n]++|\}++')

_REASONS = {
    End.BROKEN: "not JSON: damaged or cut off",
    End.DEEP: "nested too deep",
    End.MORE: "cut off",
}


class Splitter:
    """Takes the documents of a stream one by one; positions are those of the buffer it is given."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.whole = min(limit, STEP)
        """Bytes up to which a line is one document without a closer look."""
        self.busy = False
        """True while documents are not simply lines."""
        self.lines = 0
        """Line ends passed."""
        self.text = TextLines(limit)
        self.bad: Swallowed | None = None
        self.scan: Scan | None = None
        self.arrays = 0
        self.list_level = 0
        """How many arrays were open with the list that was entered; 0 outside of one."""
        self.opened = False
        """True right after an opening bracket: a closing one makes an empty array."""
        self.lead = b""
        """What stands before the document on its line."""
        self.base = self.wasted = 0
        self.spread = False
        """True when something in this buffer was not one document on one line."""

    def line(self, batch: Batch, line: bytes, number: int) -> bool:
        """Take a line that is not an ordinary event, where documents are lines; False when it needs `split`."""
        record = line.strip()
        if not record:
            return True
        first = record[0]
        before = len(batch.rejected)
        if len(line) > self.whole or (first in b"[],\x1e" and not self.text.table):
            return False
        if first == BRACE and not self.text.table:
            taken = decode_strictly(batch, record)
        else:
            self.text.take(batch, record, self.lines + number)
            taken = True
        _number(batch, before, self.lines + number)
        return taken

    def passed(self, lines: int, size: int) -> None:
        """Count lines that were taken without `split`."""
        self.lines += lines
        self.base += size

    def split(self, batch: Batch, buffer: bytes, last: bool) -> int:
        """Take the documents of a buffer; give where the unfinished rest begins."""
        if not self.busy:
            if not last and len(buffer) <= self.whole:
                return 0
            self.busy, self.lead = True, b""
        self.spread = False
        position = 0
        while position < len(buffer):
            after = self._step(batch, buffer, position, last)
            if after is None:
                break
            position = after
        if last:
            self._finish(batch)
        self.busy = bool(self.spread or self.arrays or self.bad or self.lead or b"\n" in buffer[position:])
        if not self.busy:
            self.scan = None
        elif self.scan is not None:
            self.scan.rebase(position)
        self.base += position
        return position

    def _step(self, batch: Batch, buffer: bytes, position: int, last: bool) -> int | None:
        """Take one thing; None when more bytes are needed for that."""
        if self.bad is not None:
            return self._swallow(batch, buffer, position, last)
        if self.scan is None:
            reached = self._between(batch, buffer, position, last)
            if reached != position:
                return reached
        byte = buffer[position]
        if self.text.table:
            return self._line(batch, buffer, position, last)
        if byte == BRACE:
            return self._document(batch, buffer, position, last)
        if byte == CLOSING:  # of the list that was entered, or an array in it
            return self._list_end(buffer, position, last)
        self.spread = True
        return self._item(batch, buffer, position, last) if self.arrays else self._line(batch, buffer, position, last)

    def _between(self, batch: Batch, buffer: bytes, position: int, last: bool) -> int:
        """Pass over what stands between documents, brackets of arrays included."""
        between = _BETWEEN_ROWS if self.text.table else _BETWEEN_IN_LIST if self.list_level else _BETWEEN
        found = between.match(buffer, position)
        run = b"" if found is None else found[0]
        if not run:
            return position
        self.lines += run.count(b"\n")
        _, newline, rest = run.rpartition(b"\n")
        self.lead = (rest if newline else self.lead + rest)[:_MAX_LEAD]
        self._brackets(batch, run)
        return position + len(run)

    def _brackets(self, batch: Batch, run: bytes) -> None:
        brackets = _SPACE.sub(b"", run)
        if brackets:
            batch.skipped += (b"[" * self.opened + brackets).count(b"[]")
            self.opened = brackets.endswith(b"[")
            self.arrays = _depth(self.arrays, brackets)

    def _list_end(self, buffer: bytes, position: int, last: bool) -> int | None:
        """Leave an array inside the list that was entered, or the list with the rest of its object."""
        self.opened = False
        if self.arrays > self.list_level:
            self.arrays -= 1
            return position + 1
        found = _LIST_END.match(buffer, position, position + _LIST_END_SIZE)
        if found is None and not last and len(buffer) - position < _LIST_END_SIZE:
            return None
        self.arrays -= 1
        self.list_level = 0
        end = position + 1 if found is None else found.end()
        self.lines += buffer.count(b"\n", position, end)
        return end

    def _document(self, batch: Batch, buffer: bytes, start: int, last: bool) -> int | None:
        if self.scan is None and (end := self._parsed_end(buffer, start)) is not None:
            self.opened = False
            self._take(batch, buffer[start:end])
            return end
        scan = self.scan = self.scan or Scan(start, self.lead if not self.lead.strip(b" \t") else b"")
        result = self._scan(scan, buffer, start, last)
        if result is None:
            return None
        self.scan = None
        self.opened = False
        if result is not End.FOUND:
            return self._unfinished(scan, result, buffer, start)
        self._take(batch, buffer[start : scan.position])
        return scan.position

    def _parsed_end(self, buffer: bytes, start: int) -> int | None:
        """Find the end of a valid document the fast way, where it gives what a scan would."""
        if self._impatient(start):
            return None
        return parsed_end(buffer, start, min(len(buffer), start + self.whole))

    def _impatient(self, start: int) -> bool:
        """Tell whether too much has been scanned in vain to look beyond the end of a line."""
        return self.wasted > PATIENCE + 4 * (self.base + start)

    def _scan(self, scan: Scan, buffer: bytes, start: int, last: bool) -> End | None:
        """Look for the document's end; None when more bytes are needed."""
        scan.patient = not self._impatient(start)
        if not scan.large:
            end = scan.search(buffer, min(len(buffer), start + self.whole))
            if end is not End.MORE or len(buffer) - start <= self.whole:
                return end if end is not End.MORE or last else None
            scan.large = True
        end = scan.search(buffer, min(len(buffer), start + self.limit))
        return end if end is not End.MORE or last or len(buffer) - start > self.limit else None

    def _unfinished(self, scan: Scan, end: End, buffer: bytes, start: int) -> int:
        """Enter the list of a large document, or give up the document that begins here."""
        inner = _LIST.match(buffer, start) if scan.large and not self.list_level and end is End.MORE else None
        if inner is not None:
            self.arrays += 1
            self.list_level, self.opened, self.lead = self.arrays, True, b"{"
            self.lines += buffer.count(b"\n", start, inner.end())
            return inner.end()
        reason = TOO_LARGE if len(buffer) - start > self.limit and end is End.MORE else _REASONS[end]
        self.wasted += scan.position - start
        self.bad = Swallowed(reason, self.lines + 1, scan.indent)
        return start

    def _take(self, batch: Batch, record: bytes) -> None:
        before = len(batch.rejected)
        decode_into(batch, record, self.limit)
        _number(batch, before, self.lines + 1)
        newlines = record.count(b"\n")
        self.spread = self.spread or bool(newlines)
        self.lines += newlines
        self.lead = b"{"

    def _swallow(self, batch: Batch, buffer: bytes, position: int, last: bool) -> int | None:
        """Pass over the lines of a document that has no end."""
        bad = self.bad
        if bad is None:
            return position
        self.lead = b""
        after, passed = bad.go_on(buffer, position, last, bool(self.arrays))
        self.lines += passed
        self.spread = self.spread or bad.further
        if bad.over:
            batch.rejected.append(bad.rejected())
            self.bad = None
            return after
        return None if after == position else after

    def _line(self, batch: Batch, buffer: bytes, position: int, last: bool) -> int | None:
        """Take a line of text."""
        end = buffer.find(b"\n", position, position + self.limit + 1)
        if end < 0:
            if len(buffer) - position > self.limit:
                self.bad = Swallowed(TOO_LARGE, self.lines + 1, b"")
                return position
            if not last:
                return None
            end = len(buffer)
        before = len(batch.rejected)
        self.text.take(batch, buffer[position:end].strip(), self.lines + 1)
        _number(batch, before, self.lines + 1)
        return end

    def _item(self, batch: Batch, buffer: bytes, position: int, last: bool) -> int | None:
        """Take something in an array that is no object: a string may hold an event as text."""
        if self.opened and (label := _LABEL.match(buffer, position, position + MAX_PREFIX)):
            if label[1]:  # ``[pod/name/container] {…}``, as `kubectl logs --prefix` writes: no array
                self.arrays, self.opened = self.arrays - 1, False
                return label.end() - 1
            if label.end() == len(buffer) and not last:
                return None
        found = _ITEM.match(buffer, position, position + self.limit)
        end = position if found is None else found.end()
        unsure = end == len(buffer) or (end == position and buffer.find(b"\n", position) < 0)
        if unsure and not last and len(buffer) - position <= self.limit:
            return None
        self.opened = False
        if end == position:
            large = buffer.find(b"\n", position, position + self.limit) < 0 and len(buffer) - position > self.limit
            self.bad = Swallowed(TOO_LARGE if large else _REASONS[End.BROKEN], self.lines + 1, b"")
            return position
        self._take(batch, buffer[position:end])
        return end

    def _finish(self, batch: Batch) -> None:
        if self.bad is not None:
            batch.rejected.append(self.bad.rejected())
            self.bad = None
        if self.arrays:
            batch.reject("cut off: a list has no end", b"")
        self.text.finish(batch)


def _depth(arrays: int, brackets: bytes) -> int:
    """Give how many arrays are open after some brackets; closing ones without an array count for nothing."""
    opening, closing = brackets.count(b"["), brackets.count(b"]")
    if closing <= arrays or not opening:
        return max(0, arrays + opening - closing)
    for bracket in brackets:
        arrays = arrays + 1 if bracket == OPENING else max(0, arrays - 1)
    return arrays


def _number(batch: Batch, before: int, line: int) -> None:
    for rejected in batch.rejected[before:]:
        if rejected.line is None:
            rejected.line = line
