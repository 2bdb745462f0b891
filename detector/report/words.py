"""Numbers and times in words."""

from __future__ import annotations

from detector.event import SECOND, rfc3339
from detector.finding import Level

MINUTE, HOUR, DAY = 60, 3600, 86_400
THOUSAND = 1000
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))


def number(value: int) -> str:
    """Write 61066 as 61,066."""
    return f"{value:,}"


def count(value: int, noun: str, many: str = "") -> str:
    """Write a number with its noun: 1 alert, 2 alerts."""
    return f"{number(value)} {noun if value == 1 else many or noun + 's'}"


def size(bytes_: float) -> str:
    """Write a number of bytes: 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if bytes_ < THOUSAND:
            return f"{bytes_:.0f} {unit}" if unit == "B" else f"{bytes_:.1f} {unit}"
        bytes_ /= THOUSAND
    return f"{bytes_:.1f} TB"


def duration(micros: int) -> str:
    """Write a span of time by its two largest units: 1 h 17 min."""
    seconds = micros // SECOND
    if seconds < 1:
        return "under 1 s"
    parts = []
    for unit, name in _UNITS:
        if seconds >= unit:
            parts.append(f"{seconds // unit} {name}")
            seconds %= unit
        elif parts:
            break
    return " ".join(parts[:2])


def day(time: int) -> str:
    """Write the date of a time, UTC."""
    return rfc3339(time)[:10]


def clock(time: int, *, dated: bool = False) -> str:
    """Write the time of day (UTC), after the date where ``dated``."""
    if time <= 0:  # of an event without a time
        return "time unknown" if dated else "unknown"
    text = rfc3339(time)
    return f"{text[:10]} {text[11:19]}" if dated else text[11:19]


def period(first: int, last: int, dash: str) -> str:
    """Write from when to when, with the second date only where it is another."""
    end = clock(last, dated=day(first) != day(last))
    return f"{clock(first, dated=True)} {dash} {end} UTC"


def level_counts(levels: dict[Level, int], dot: str) -> str:
    """Write counts by level, the highest first: 4 high · 2 low."""
    parts = [f"{number(levels[level])} {level.name}" for level in sorted(levels, reverse=True) if levels[level]]
    return (f" {dot} " if dot != "," else ", ").join(parts)
