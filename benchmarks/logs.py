"""Logs of any length: a recording repeated with shifted times and fresh audit ids (else all would be duplicates)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from detector.formats import decompress

_STAMP = re.compile(rb'("(?:requestReceivedTimestamp|stageTimestamp)":")([^"]{19,27}Z)(")')
_AUDIT_ID = re.compile(rb'("auditID":")([^"]*)(")')


def lines(path: Path) -> list[bytes]:
    """Give the lines of a log, decompressed."""
    with path.open("rb") as file:
        stream = decompress(file)
        return b"".join(iter(lambda: stream.read(1 << 20), b"")).splitlines()


def repeated(recording: list[bytes], size: int, step: timedelta = timedelta(hours=1)) -> Iterator[bytes]:
    """Give about ``size`` bytes of lines: turn after turn of the recording, each ``step`` later."""
    written = turn = 0
    while True:
        for line in recording:
            fresh = _shifted(line, turn, step * turn)
            yield fresh
            written += len(fresh) + 1
            if written >= size:
                return
        turn += 1


def _shifted(line: bytes, turn: int, by: timedelta) -> bytes:
    if not turn:
        return line
    line = _AUDIT_ID.sub(rb"\g<1>\g<2>-%d\g<3>" % turn, line, count=1)
    return _STAMP.sub(lambda found: found[1] + _moved(found[2], by) + found[3], line)


def _moved(stamp: bytes, by: timedelta) -> bytes:
    moved = datetime.fromisoformat(stamp.decode()) + by
    return moved.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
