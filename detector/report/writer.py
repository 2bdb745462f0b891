"""Alerts as JSON lines: each alert once, in its last revision, written when it closes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from detector.encodings import native
from detector.encodings.jsontext import dumps, printable
from detector.errors import ConfigError, RedshankError
from detector.finding import Alert

STDOUT = "-"
FLUSH = 1 << 16
"""Bytes gathered before whole lines are written."""


class AlertWriter:
    """Writes alerts to a file, which appears under its name only when it is complete; or to standard output (``-``)."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.keep = True
        """Whether the file is to get its name; otherwise one that is there already stays."""
        self._waiting: list[bytes] = []
        self._size = 0
        self._partial: Path | None = None
        self._file = self._open()

    def _open(self) -> BinaryIO:
        path = Path(self.target)
        if self.target == STDOUT:
            return sys.stdout.buffer
        try:
            if path.exists() and not path.is_file():
                return path.open("wb")
            self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
            return open(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        except OSError as error:
            self._partial = None
            raise ConfigError(f"cannot write {self.target}: {error.strerror or error}") from None

    def write(self, alert: Alert) -> None:
        """Write one alert as one line."""
        line = dumps(native.encode(alert)) + b"\n"
        self._waiting.append(printable(line) if self.target == STDOUT else line)
        self._size += len(line)
        if self._size >= FLUSH:
            self._flush()

    def _flush(self) -> None:
        try:
            self._file.write(b"".join(self._waiting))
            self._file.flush()
        except OSError as error:
            if self.target == STDOUT:
                raise
            raise self._unwritten(error) from None
        self._waiting.clear()
        self._size = 0

    def _unwritten(self, error: OSError) -> RedshankError:
        return RedshankError(f"cannot write {self.target}: {error.strerror or error}")

    def __enter__(self) -> AlertWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name; after an error the partial file is removed."""
        done = False
        try:
            if kind is None:
                self._flush()
                done = self.keep
        finally:
            self._close(keep=done)

    def _close(self, *, keep: bool) -> None:
        if self.target == STDOUT:
            return
        try:
            self._file.close()
            if self._partial is not None and keep:
                self._partial.replace(self.target)
        except OSError as error:
            raise self._unwritten(error) from None
        finally:
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)
