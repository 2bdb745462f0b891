"""Standard output: one line of JSON for each alert."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from detector.finding import Alert
from detector.sinks.base import Clock, Failure, Mode, RetryError, Sink
from detector.sinks.blocking import Blocking
from detector.sinks.lines import JsonEncoding, LineWriter, lines
from detector.sinks.settings import SinkSettings

STDOUT = 1
"""The descriptor of standard output."""


class StdoutSettings(SinkSettings):
    """Alerts as lines of JSON on standard output."""

    mode: ClassVar[Mode] = "append"
    type: Literal["stdout"] = Field(default="stdout", description="Standard output.", examples=["stdout"])
    encoding: JsonEncoding = Field(default="native", description="What each line holds.", examples=["ecs"])

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Stdout(self)


class Stdout(Sink):
    """Writes to standard output; a reader that has stopped reading blocks this sink only."""

    def __init__(self, settings: StdoutSettings) -> None:
        self._settings = settings
        self._thread = Blocking("stdout")
        self._writer = LineWriter()

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Write the alerts."""
        data = lines(alerts, self._settings.encoding)
        try:
            await self._thread.run(partial(self._writer.write, STDOUT, data))
        except OSError as error:
            raise RetryError(f"standard output: {error.strerror or error}") from None
        return []

    async def close(self) -> None:
        """Leave standard output to others."""
        self._thread.stop()


SETTINGS = StdoutSettings
