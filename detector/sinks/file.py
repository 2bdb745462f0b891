"""A file: one line of JSON for each alert, on the disk before it counts as delivered."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from detector.finding import Alert
from detector.sinks.base import Clock, Failure, Mode, RetryError, Sink
from detector.sinks.blocking import Blocking
from detector.sinks.lines import JsonEncoding, LineWriter, lines
from detector.sinks.settings import SinkSettings


class FileSettings(SinkSettings):
    """Alerts as lines of JSON in a file. Rotate it as you like: when it was moved away, it is made anew."""

    mode: ClassVar[Mode] = "append"
    type: Literal["file"] = Field(default="file", description="A file.", examples=["file"])
    path: Path = Field(description="The file; its folder must exist.", examples=["/var/log/redshank/alerts.jsonl"])
    encoding: JsonEncoding = Field(default="native", description="What each line holds.", examples=["ocsf"])
    fsync: bool = Field(
        default=True, description="An alert counts as delivered only when it is on the disk.", examples=[False]
    )

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return File(self)


class File(Sink):
    """Appends to a file, readable by its owner only."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._thread = Blocking(f"file {settings.path.name}")
        self._writer = LineWriter()
        self._descriptor: int | None = None

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Append the alerts."""
        await self._thread.run(partial(self._append, lines(alerts, self._settings.encoding)))
        return []

    def _append(self, data: bytes) -> None:
        try:
            descriptor = self._opened()
            self._writer.write(descriptor, data)
            if self._settings.fsync and stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fsync(descriptor)
        except OSError as error:
            raise RetryError(f"{self._settings.path}: {error.strerror or error}") from None

    def _opened(self) -> int:
        """Give the descriptor of what is now under the path."""
        if self._descriptor is not None and self._moved(self._descriptor):
            self._close()
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._settings.path, flags, 0o600)
            self._writer = LineWriter(torn=_torn(self._settings.path))
        return self._descriptor

    def _moved(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(os.fstat(descriptor), self._settings.path.stat())
        except FileNotFoundError:
            return True

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def close(self) -> None:
        """Close the file."""
        try:
            await self._thread.run(self._close)
        finally:
            self._thread.stop()


def _torn(path: Path) -> bool:
    """Tell whether a file ends in the middle of a line, as after a crash."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
    return False


SETTINGS = FileSettings
