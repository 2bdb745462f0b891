"""Times on the command line: ``--since`` and ``--until``."""

from __future__ import annotations

import re

from detector.errors import ConfigError
from detector.event import SECOND, micros

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_RELATIVE = re.compile(r"(\d{1,6})([smhdw])")


class Moment:
    """A time as given: absolute, or so long before the newest event of the input.

    ``2026-03-05T14:00:00Z`` (RFC 3339), ``2026-03-05 14:00`` (UTC), ``2026-03-05`` (its first moment, UTC), ``2h``,
    ``7d`` (also s, m, w). Raises ConfigError for anything else.
    """

    def __init__(self, text: str, flag: str) -> None:
        relative = _RELATIVE.fullmatch(text.strip())
        self.before = int(relative[1]) * _UNITS[relative[2]] * SECOND if relative else None
        """Microseconds before the newest event; None for an absolute time."""
        self.time = None if relative else micros(text.strip())
        if self.before is None and self.time is None:
            raise ConfigError(f"{flag} {text!r}: give a time such as 2026-03-05T14:00:00Z, a date, or 2h or 7d")

    @property
    def relative(self) -> bool:
        """Whether it hangs on the newest event."""
        return self.before is not None

    def at(self, newest: int) -> int:
        """Give the time in microseconds, where the newest event is of time ``newest``."""
        return newest - self.before if self.before is not None else self.time or 0
