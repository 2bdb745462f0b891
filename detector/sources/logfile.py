"""One log file: probing it, reading it, and how far it has been read."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import BinaryIO

from detector.errors import InputError
from detector.formats import Batch, decompress, read

STDIN = "-"
PROBE = 1 << 18
"""Plain bytes looked at for the first event."""


class _Counted:
    """Counts the bytes taken from a file."""

    def __init__(self, file: BinaryIO, log: LogFile) -> None:
        self.file, self.log = file, log

    def read(self, size: int, /) -> bytes:
        data = self.file.read(size)
        self.log.bytes_read += len(data)
        return data


class _Beginning:
    """The first `PROBE` bytes of a stream."""

    def __init__(self, file: BinaryIO) -> None:
        self.plain = decompress(file)
        self.left = PROBE

    def read(self, size: int, /) -> bytes:
        data = self.plain.read(min(size, self.left)) if self.left else b""
        self.left -= len(data)
        return data


class LogFile:
    """A file, or standard input, with its progress."""

    def __init__(self, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self.size = None if path == STDIN else os.stat(path).st_size
        self.bytes_read = 0
        self.time: int | None = None
        """Time of the first event, in microseconds; None when unknown."""
        self.promising = path == STDIN
        """True when the beginning holds an event or a record known to carry none."""
        self.empty = True

    def probe(self) -> None:
        """Look at the beginning, unless that would take it away."""
        if self.path == STDIN or not os.path.isfile(self.path):
            self.promising = True
            return
        with self._open() as file:
            for batch in read(_Beginning(file)):
                self.promising = self.promising or bool(batch.events or batch.skipped)
                times = (event.time for event in batch.events)
                self.time = next((time for time in times if time is not None), None)
                if self.time is not None:
                    return

    def batches(self) -> Generator[Batch]:
        """Read the file; it is closed at the end, or with the iterator."""
        try:
            with self._open() as file:
                for batch in read(decompress(_Counted(file, self))):
                    self.empty = self.empty and not batch.events
                    batch.path = self.path
                    yield batch
        except InputError as error:
            self.problems.append(str(error))
            return
        except OSError as error:
            self.problems.append(f"{self.path}: reading stopped early: {error.strerror}")
        if self.empty:
            self.problems.append(f"{self.path}: no audit event in it")

    def _open(self) -> BinaryIO:
        # Unbuffered: reads are large, and what a slow pipe has to give is taken at once.
        try:
            if self.path == STDIN:
                return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
            return open(self.path, "rb", buffering=0)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be opened ({error.strerror})") from None
