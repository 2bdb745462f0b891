"""The events of a file that somebody points at: all, those in one line, or the samples of alerts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import msgspec
import orjson

from detector.encodings.jsontext import dumps
from detector.errors import InputError
from detector.event import Event
from detector.formats import decode_batch, decompress, read
from detector.sources.files import FileSource
from detector.sources.logfile import STDIN

CHUNK = 1 << 17


class Choice(msgspec.Struct, frozen=True):
    """Which events of a file to explain."""

    path: str
    """A file of events, or of alerts as ``replay --out`` writes them; ``-`` is standard input."""
    audit_id: str = ""
    matching: bool = False
    """Only those on which the rule holds."""
    line: int | None = None
    """Only what the line of this number holds, from 1."""

    @property
    def open(self) -> bool:
        """Whether nothing is chosen."""
        return not (self.audit_id or self.matching or self.line)


def chosen(choice: Choice, rule: str) -> Iterator[Event]:
    """Give the events of a file; of a file of alerts the samples, those of the rule's own alerts where it has any."""
    path = choice.path
    if _holds_alerts(path):
        alerts = list(_alerts(path)) if choice.line is None else list(_alerts(path))[choice.line - 1 : choice.line]
        own = any(alert["rule"]["id"] == rule for alert in alerts)
        for alert in alerts:
            if not own or alert["rule"]["id"] == rule:
                for sample in alert["samples"]:
                    yield from decode_batch(dumps(sample)).events
        return
    for batch in FileSource([path]) if choice.line is None else read(BytesIO(_bytes_of(path, choice.line))):
        yield from batch.events


def _bytes_of(path: str, number: int) -> bytes:
    """Give a line of a file, decompressed, without its end; nothing where there are fewer lines. Raises InputError."""
    left, line = number - 1, b""
    try:
        with open(sys.stdin.fileno() if path == STDIN else path, "rb", closefd=path != STDIN) as file:
            plain_bytes = decompress(file)
            while data := plain_bytes.read(CHUNK):
                lines = data.split(b"\n")
                if left >= len(lines):
                    left -= len(lines) - 1
                    continue
                line += lines[left]
                if left + 1 < len(lines):
                    break
                left = 0
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from None
    return line


def _holds_alerts(path: str) -> bool:
    return os.path.isfile(path) and next(_alerts(path), None) is not None


def _alerts(path: str) -> Iterator[dict[str, Any]]:
    """Give the alerts of a file, up to the first line that is none."""
    with open(path, "rb") as lines:
        for line in lines:
            alert = _alert(line)
            if alert is None:
                return
            yield alert


def _alert(line: bytes) -> dict[str, Any] | None:
    try:
        read = orjson.loads(line)
        known = isinstance(read["samples"], list) and isinstance(read["rule"]["id"], str)
    except (ValueError, KeyError, TypeError):
        return None
    return read if known else None
