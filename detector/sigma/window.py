"""The window of one group: the events that a correlation may still count, as entries in the order of time.

An event that comes late finds all there that it belongs to: entries are kept for the time span and `LATENESS` behind
the newest. All spans and times are in microseconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from detector.bounded import fit
from detector.event import Event
from detector.fields import value_of
from detector.finding import make_id
from detector.redaction import scrub
from detector.watermark import LATENESS

AUDIT_ID = 256
"""Longest audit id or other text of an event kept, in bytes; clients choose them."""
MAX_TARGET = 512
"""Longest name of what was touched."""
MAX_VALUE, MAX_SOURCE = 128, 64
"""Longest value counted, and longest address."""
DIGEST = 16
"""Digits that tell long texts apart."""


class Entry(msgspec.Struct, order=True, array_like=True):
    """One event in a window: at most 960 bytes of texts, and 120 beside these in a snapshot, 400 in memory."""

    time: int
    event: str
    """Fingerprint, in hex."""
    base: int
    audit_id: str
    value: str = ""
    target: str = ""
    source: str = ""
    fired: str = ""
    """The crossing it belongs to, where the correlation stood at this event: the fingerprint of its first one."""


def entry(event: Event, now: int, base: int, value: str) -> Entry:
    """Make the entry of an event at time ``now`` on which base rule number ``base`` holds."""
    return Entry(
        now,
        event.fingerprint,
        base,
        fit(event.auditID or "", AUDIT_ID),
        value,
        fit(scrub((value_of("target", event) or "")[:MAX_TARGET]), MAX_TARGET),
        fit(value_of("source.ip", event) or "", MAX_SOURCE),
    )


def short(text: str, most: int) -> str:
    """Give a text of at most ``most`` bytes that differs where the whole texts do."""
    if len(text) * 4 <= most or len(text.encode("utf-8", "replace")) <= most:
        return text
    return f"{fit(text, most - DIGEST - len('…'.encode()))}…{make_id(text)[:DIGEST]}"


def add(entries: list[Entry], new: Entry, span: int) -> bool:
    """Put an entry in its place, and let go of what is too old; False when that is the entry itself."""
    if not entries or new > entries[-1]:
        entries.append(new)
        oldest = new.time - span - LATENESS
        while entries[0].time < oldest:
            del entries[0]
        return True
    if new.time < entries[-1].time - span - LATENESS:
        return False
    insort(entries, new)
    return True


def begin(entries: list[Entry], last: int, span: int) -> int:
    """Give the number of the first entry within a time span of entry number ``last``, which ends it."""
    oldest = entries[last].time - span
    return 0 if entries[0].time >= oldest else bisect_left(entries, oldest, hi=last, key=_time)


def end(entries: list[Entry], first: int, span: int) -> int:
    """Give the number of the last entry within a time span of entry number ``first``, which begins it."""
    newest = entries[first].time + span
    return len(entries) - 1 if entries[-1].time <= newest else bisect_right(entries, newest, lo=first, key=_time) - 1


def back_to(entries: list[Entry], first: int, oldest: int) -> list[int]:
    """Give the numbers of the entries before entry number ``first``, back to a time; they descend."""
    numbers = []
    while first and entries[first - 1].time >= oldest:
        first -= 1
        numbers.append(first)
    return numbers


def needless(entries: list[Entry], like: Sequence[int], span: int) -> list[int]:
    """Of three entries that count the same, give the middle one: any time span that has it has another of them.

    :param like: the numbers of entries that count the same, ascending; those given descend.
    """
    doomed: list[int] = []
    kept = like[0]
    for number, after in pairwise(like[1:]):
        if entries[after].time - entries[kept].time <= span:
            doomed.append(number)
        else:
            kept = number
    return doomed[::-1]


def crossing_at(entries: list[Entry], number: int, span: int) -> str:
    """Give the crossing that an entry which stands belongs to: its own, or that of a neighbour; empty for none."""
    here = entries[number]
    for place in range(number, -1, -1):
        before = entries[place]
        if before.fired:
            if here.time - before.time <= span:
                return before.fired
            break
        if before.event != here.event:
            break
    after = entries[number + 1] if number + 1 < len(entries) else here
    return after.fired if after.time - here.time <= span else ""


def _time(one: Entry) -> int:
    return one.time
