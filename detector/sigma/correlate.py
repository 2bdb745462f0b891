"""Correlations: windows over the findings of base rules, by group.

A correlation fires when its count crosses the threshold within its time span, and again only after it has fallen below.
Windows are cut by event time, so that the outcome does not depend on when records arrive. Events that lack a group-by
field take part in no group. State is bounded: per group at most ``threshold`` entries (`ENTRIES` a base rule for
temporal ones), and groups seen once cannot push out established ones.
"""

from __future__ import annotations

from bisect import insort
from typing import Any

import msgspec

from detector.bounded import BoundedMap
from detector.event import SECOND, Event
from detector.fields import value_of
from detector.redaction import scrub
from detector.sigma.predicate import text
from detector.sigma.rule import Correlation

GROUPS = 10_000
ENTRIES, RUN = 16, 3
AUDIT_ID = 256
"""Longest audit id or other text of an event kept; clients choose them."""
MAX_TARGET = 512
"""Longest name of what was touched."""
MOST_VALUES = 8
"""Most distinct values named in a reason."""


class Entry(msgspec.Struct, order=True, array_like=True):
    """One event in a window."""

    time: int
    event: str
    """Fingerprint, in hex."""
    base: int
    audit_id: str
    value: str = ""
    target: str = ""
    source: str = ""


def _entry(event: Event, now: int, base: int, value: str) -> Entry:
    return Entry(
        now,
        event.fingerprint,
        base,
        (event.auditID or "")[:AUDIT_ID],
        value,
        scrub((value_of("target", event) or "")[:MAX_TARGET]),
        value_of("source.ip", event) or "",
    )


class Window(msgspec.Struct, array_like=True):
    """The entries of one group, in order of time, and the id of what it has fired for while above the threshold."""

    entries: list[Entry]
    fired: str = ""


class Crossing(msgspec.Struct, frozen=True):
    """A correlation holds for a group: ``first`` names the crossing, ``again`` that it was told before."""

    group: tuple[str, ...]
    first: str
    entries: tuple[Entry, ...]
    again: bool


class Correlator:
    """The windows of one correlation."""

    def __init__(self, rule: Correlation, groups: int = GROUPS) -> None:
        self.rule = rule
        self.windows: BoundedMap[Window] = BoundedMap(groups)
        self._groups = [[path.getter() for path in paths] for paths in rule.group_by]
        self._values = [path.getter() for path in rule.value]
        self._temporal = rule.kind.startswith("temporal")

    def feed(self, base: int, event: Event, now: int) -> list[Crossing]:
        """Take in that base rule number ``base`` held for an event; gives crossings, repeated while above."""
        group = self._group(base, event)
        if group is None:
            return []
        window = self.windows.get(group) or Window([])
        values = self._counted(base, event)
        kept = [self._admit(window, _entry(event, now, base, value)) for value in values]
        crossed = self._judge(group, window) if any(kept) else []
        self.windows.put(group, window)
        return crossed

    def _group(self, base: int, event: Event) -> tuple[str, ...] | None:
        group = []
        for getter in self._groups[base]:
            values = [as_text for value in getter(event) if (as_text := text(value)) is not None]
            if not values:
                return None
            group.append(values[0][:AUDIT_ID])
        return tuple(group)

    def _counted(self, base: int, event: Event) -> list[str]:
        if not self._values:
            return [""]
        return [as_text[:AUDIT_ID] for value in self._values[base](event) if (as_text := text(value)) is not None]

    def _admit(self, window: Window, entry: Entry) -> bool:
        """Put an entry in its place; False when it is too old for the window."""
        entries = window.entries
        if self.rule.kind == "value_count":
            entries[:] = [known for known in entries if known.value != entry.value]
        if not entries or entry > entries[-1]:
            entries.append(entry)
        else:
            insort(entries, entry)
        oldest = entries[-1].time - self.rule.span
        while entries[0].time < oldest:
            del entries[0]
        if entry.time < oldest:
            return False
        self._shorten(entries, entry.base)
        return True

    def _shorten(self, entries: list[Entry], base: int) -> None:
        """Keep no more than can matter: a flood of one base rule must not push out another's entries."""
        if not self._temporal:
            del entries[: max(0, len(entries) - self.rule.threshold)]
            return
        if len(entries) > RUN and len({entry.base for entry in entries[-RUN:]}) == 1:
            del entries[1 - RUN]  # of many in a row the first and the last matter
        same = [entry for entry in entries if entry.base == base]
        if len(same) > ENTRIES:
            entries.remove(same[0])

    def _judge(self, group: tuple[str, ...], window: Window) -> list[Crossing]:
        standing = self._standing(window.entries)
        if not standing:
            window.fired = ""
            return []
        again = bool(window.fired)
        window.fired = window.fired or standing[0].event
        return [Crossing(group, window.fired, tuple(standing), again)]

    def _standing(self, entries: list[Entry]) -> list[Entry]:
        """Give the entries on which the correlation stands now; empty when it does not."""
        match self.rule.kind:
            case "temporal":
                latest = {entry.base: entry for entry in entries}
                return sorted(latest.values()) if len(latest) >= self.rule.threshold else []
            case "temporal_ordered":
                return self._chain(entries)
        return entries if len(entries) >= self.rule.threshold else []

    def _chain(self, entries: list[Entry]) -> list[Entry]:
        """Find the latest run of entries in which the base rules follow each other in their order."""
        wanted = len(self.rule.bases) - 1
        chain: list[Entry] = []
        for entry in reversed(entries):
            if entry.base == wanted and all(entry.event != known.event for known in chain):
                chain.append(entry)
                wanted -= 1
        return chain[::-1] if wanted < 0 else []

    def why(self, crossing: Crossing) -> tuple[str, str]:
        """Say in words what crossed: (what was counted, how many of how many)."""
        span = f"within {self.rule.span // SECOND} s"
        count = f"{len(crossing.entries)} {span}"
        if self.rule.kind == "value_count":
            values = ", ".join(entry.value for entry in crossing.entries[:MOST_VALUES])
            return f"distinct {self.rule.value[0]}", f"{count}: {values}"
        return ("events" if self.rule.kind == "event_count" else "rules in turn"), count

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"shape": self._shape(), **self.windows.dump()}

    def _shape(self) -> str:
        """Say what windows hold; those of another shape mean something else."""
        rule = self.rule
        fields = [[path.name for path in paths] for paths in (*rule.group_by, rule.value)]
        return repr((rule.kind, rule.bases, fields, rule.span, rule.threshold))

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; windows of a rule that has changed since are let go."""
        if state["shape"] != self._shape():
            return
        self.windows.load(state)
        for segment in (self.windows.established, self.windows.probation):
            for key, window in segment.items():
                segment[key] = msgspec.convert(window, Window)
