"""The progress bar of a replay, on standard error and only where that is a terminal."""

from __future__ import annotations

import os
import sys
from time import monotonic
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from detector.report.words import number, size

EVERY = 0.1
"""Seconds between two pictures."""


class Measured(Protocol):
    """What the bar asks of a source."""

    @property
    def bytes_total(self) -> int | None: ...
    @property
    def bytes_read(self) -> int: ...


class Bar:
    """Shows how far a replay is, how fast, and what it has found; silent where nobody watches."""

    def __init__(self, source: Measured) -> None:
        self.source = source
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._begun = self._drawn = monotonic()

    def __enter__(self) -> Bar:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._progress = _progress()
            self._progress.start()
            self._task = self._progress.add_task("", total=self.source.bytes_total, said="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, events: int, alerts: int) -> None:
        """Draw the bar anew if it is time to."""
        if self._progress is None or self._task is None:
            return
        now = monotonic()
        if now - self._drawn < EVERY:
            return
        self._drawn = now
        rate = events / max(now - self._begun, EVERY)
        said = (
            f"{size(self.source.bytes_read)}  {number(events)} events  {number(int(rate))}/s  {number(alerts)} alerts"
        )
        self._progress.update(self._task, completed=self.source.bytes_read, said=said)
        self._progress.refresh()


def _progress() -> Progress:
    return Progress(
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, no_color=True if os.environ.get("NO_COLOR") else None),
        auto_refresh=False,
        transient=True,
    )
