"""Warnings that a client can cause at will: one line in a while for each kind, with the number of those left out."""

from __future__ import annotations

import logging
from time import monotonic

EVERY = 10.0
"""Seconds between two lines of one kind."""


class Rarely:
    """Writes to a log. Kinds are chosen by the program, never by a client: there are few."""

    def __init__(self, log: logging.Logger, every: float = EVERY) -> None:
        self.log, self.every = log, every
        self._last: dict[object, float] = {}
        self._left_out: dict[object, int] = {}

    def warning(self, kind: object, message: str, *values: object) -> None:
        """Write a warning, or count it."""
        if self._due(kind):
            self.log.warning(message + self._others(kind), *values)

    def exception(self, kind: object, message: str, *values: object) -> None:
        """Write the exception being handled, or count it."""
        if self._due(kind):
            self.log.exception(message + self._others(kind), *values)

    def _due(self, kind: object) -> bool:
        now, last = monotonic(), self._last.get(kind)
        if last is not None and now - last < self.every:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._last[kind] = now
        return True

    def _others(self, kind: object) -> str:
        others = self._left_out.pop(kind, 0)
        return f" (and {others} more like it since the last line)" if others else ""
