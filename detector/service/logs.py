"""What the daemon says of itself: text for people, JSON lines for programs, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from detector.config import LogSettings
from detector.encodings.jsontext import dumps
from detector.encodings.plain import plain
from detector.event import rfc3339

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONLines(logging.Formatter):
    """One JSON object a line, with what was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "time": rfc3339(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return dumps(line).decode()


class Lines(logging.Formatter):
    """A time, a level and a message; control characters of others are written out."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        time = self.formatTime(record, "%H:%M:%S")
        lines = [f"{time} {record.levelname.lower():7} {plain(record.getMessage())}"]
        if record.exc_info:
            lines += [f"  {plain(line)}" for line in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


def set_up(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send everything that is logged to ``stream`` (standard error)."""
    stream = stream or sys.stderr
    text = settings.format == "text" or (settings.format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines() if text else JSONLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
