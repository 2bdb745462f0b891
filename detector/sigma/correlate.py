"""Correlations: windows over the findings of base rules, by group.

A correlation fires when some window of its time span holds its threshold; it is the same crossing while it stands at
each event in turn, and the next one after it has fallen below. Windows are cut by event time: that a group fires does
not depend on the order in which events arrive, as long as none is more than `LATENESS` behind the newest. What does
depend on it is how its events are cut into crossings. Promised is: each crossing stands on events that hold the
threshold within one span, each further event is told once, and what would have fired in order has been told, or an
event no further than a span from it has.

(Of three rules in order, that is missed where events of both others come late into a run of the middle one.)

Events that lack a group-by field take part in no group. State is bounded: where a correlation stands, a window keeps
what the newest crossing needs (``threshold`` entries; one a base rule for temporal ones), elsewhere it has less than
that in any span, and of each value twice. Windows that look at order keep `ORDERED` entries a base rule. A window has
at most `MOST` entries unless its threshold is more, the windows of a correlation `ROOM` and a quarter of it, for each
cluster: with the longest texts 22 MB of a snapshot, with ordinary ones 5 MB, beside the names of 1.25 `GROUPS` groups.
Groups seen once cannot push out established ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from detector.bounded import BoundedMap
from detector.event import SECOND, Event
from detector.sigma.predicate import text
from detector.sigma.rule import Correlation
from detector.sigma.window import (
    AUDIT_ID,
    MAX_VALUE,
    Entry,
    add,
    back_to,
    begin,
    crossing_at,
    end,
    entry,
    needless,
    short,
)
from detector.watermark import LATENESS

GROUPS = 10_000
ROOM = 16_384
"""Entries in the windows of the established groups of one correlation."""
MOST = 2_048
"""Entries in one window."""
ORDERED = 64
"""Entries of one base rule in a window that looks at their order."""
MOST_VALUES = 8
"""Most distinct values named in a reason."""


class Crossing(msgspec.Struct, frozen=True):
    """A correlation holds for a group: ``first`` names the crossing, ``again`` that it was told before.

    ``entries`` are those it stands on; when it was told before, the last of them is the event that was fed.
    """

    group: tuple[str, ...]
    first: str
    entries: tuple[Entry, ...]
    again: bool


class Correlator:
    """The windows of one correlation."""

    def __init__(self, rule: Correlation, groups: int = GROUPS) -> None:
        self.rule = rule
        self.windows: BoundedMap[list[Entry]] = BoundedMap(groups, ROOM, len)
        self._groups = [[path.getter() for path in paths] for paths in rule.group_by]
        self._values = [path.getter() for path in rule.value]
        self._standing = {"event_count": self._latest, "temporal_ordered": self._in_order}.get(
            rule.kind, self._latest_different
        )
        self._different = len(rule.bases) if rule.kind == "temporal" else rule.threshold
        """How many different entries a crossing stands on at most."""
        self._most = max(MOST, self._different)
        self._span = rule.span
        self._key: Callable[[Entry], str | int] = attrgetter("value" if rule.value else "base")

    def feed(self, base: int, event: Event, now: int) -> list[Crossing]:
        """Take in that base rule number ``base`` held for an event; gives crossings, repeated while above."""
        group = self._group(base, event)
        if group is None:
            return []
        entries = self.windows.get(group)
        if entries is None:
            entries = []
        before, new = len(entries), None
        for value in self._counted(base, event):
            one = entry(event, now, base, value)
            if add(entries, one, self._span) and (new is None or one > new):
                new = one
        if new is None:
            return []
        crossed = self._judge(group, entries, new)
        if len(entries) > self._most:
            del entries[: -self._most]
        self.windows.put(group, entries, len(entries) - before)
        return crossed

    def _group(self, base: int, event: Event) -> tuple[str, ...] | None:
        group = []
        for getter in self._groups[base]:
            values = [as_text for value in getter(event) if (as_text := text(value)) is not None]
            if not values:
                return None
            group.append(short(values[0], AUDIT_ID))
        return tuple(group)

    def _counted(self, base: int, event: Event) -> list[str]:
        if not self._values:
            return [""]
        values = [as_text for value in self._values[base](event) if (as_text := text(value)) is not None]
        return [short(value, MAX_VALUE) for value in values]

    def _judge(self, group: tuple[str, ...], entries: list[Entry], new: Entry) -> list[Crossing]:
        """Look whether the correlation stands at an entry, or at one after it that has it in its span."""
        place = number = len(entries) - 1 if entries[-1] is new else bisect_left(entries, new)
        standing, surplus = self._standing(entries, number)
        while not standing and number + 1 < len(entries) and entries[number + 1].time <= new.time + self._span:
            number += 1
            standing, surplus = self._standing(entries, number)
        crossed = [self._cross(group, entries, number, new, standing)] if standing else []
        if not standing and place + 1 < len(entries):
            surplus = self._around(entries, place)
        for other in surplus:
            del entries[other]
        return crossed

    def _cross(
        self, group: tuple[str, ...], entries: list[Entry], number: int, new: Entry, standing: list[Entry]
    ) -> Crossing:
        known = crossing_at(entries, number, self._span)
        entries[number].fired = first = known or standing[0].event
        if known and standing[-1] is not new:
            standing = [*(one for one in standing if one is not new), new]
        return Crossing(group, first, tuple(standing), bool(known))

    # Each of these gives the entries on which the correlation stands at entry ``number`` (none when it does not), and
    # the numbers of entries up to there that decide nothing any more, descending.

    def _latest(self, entries: list[Entry], number: int) -> tuple[list[Entry], list[int]]:
        """Find the latest entries."""
        oldest, first = entries[number].time - self._span, number + 1 - self._different
        if first < 0 or entries[first].time < oldest:
            return [], []
        return entries[first : number + 1], back_to(entries, first, oldest)

    def _latest_different(self, entries: list[Entry], number: int) -> tuple[list[Entry], list[int]]:
        """Find the latest entries of different values, or of different base rules."""
        oldest, first = entries[number].time - self._span, number + 1 - self._different
        least = number + 1 - self.rule.threshold
        if least < 0 or entries[least].time < oldest:
            return [], []
        if first >= 0 and entries[first].time >= oldest:
            newest = entries[first : number + 1]
            if len(set(map(self._key, newest))) == self._different:
                return newest, back_to(entries, first, oldest)
        mine = self._key(entries[number])
        latest: dict[str | int, Entry] = {}
        again: list[int] = []
        alike: list[int] = []
        for place in range(number, -1, -1):
            one = entries[place]
            if one.time < oldest:
                break
            key = self._key(one)
            if key not in latest:
                latest[key] = one
                if len(latest) == self._different:
                    again += back_to(entries, place, oldest)
                    break
            else:
                again.append(place)
                if key == mine:
                    alike.append(place)
        if len(latest) < self.rule.threshold:
            return [], alike[:-1]
        return list(latest.values())[::-1], again

    def _in_order(self, entries: list[Entry], number: int) -> tuple[list[Entry], list[int]]:
        """Find the latest run of entries in which the base rules follow each other in their order."""
        first, last = begin(entries, number, self._span), entries[number]
        wanted = len(self.rule.bases) - 1
        chain: list[Entry] = []
        for one in reversed(entries[first : number + 1]):
            if one.base == wanted and all(one.event != known.event for known in chain):
                chain.append(one)
                wanted -= 1
        row = number - first > 1 and entries[number - 1].base == entries[number - 2].base == last.base
        return chain[::-1] if wanted < 0 else [], [number - 1] if row else self._oldest(entries, last.base)

    def _oldest(self, entries: list[Entry], base: int) -> list[int]:
        """Give the numbers of the entries of a base rule beyond `ORDERED`."""
        if len(entries) <= ORDERED:
            return []
        return [number for number, one in enumerate(entries) if one.base == base][:-ORDERED][::-1]

    def _around(self, entries: list[Entry], place: int) -> list[int]:
        """Give the numbers of entries that decide nothing beside one that came late, at which nothing stands."""
        if self.rule.kind == "event_count":
            return []
        mine, first, last = (
            self._key(entries[place]),
            begin(entries, place, self._span),
            end(entries, place, self._span),
        )
        if self.rule.kind != "temporal_ordered":
            like = [number for number in range(first, last + 1) if self._key(entries[number]) == mine]
            return needless(entries, like, self._span)
        low = high = place
        while low > first and entries[low - 1].base == mine:
            low -= 1
        while high < last and entries[high + 1].base == mine:
            high += 1
        return needless(entries, range(low, high + 1), self._span) or self._oldest(entries, entries[place].base)

    def why(self, crossing: Crossing) -> tuple[str, str]:
        """Say in words what crossed: (what was counted, how many of how many)."""
        span = f"within {self.rule.span // SECOND} s"
        count = f"{len(crossing.entries)} {span}"
        if self.rule.kind == "value_count":
            values = ", ".join(one.value for one in crossing.entries[:MOST_VALUES])
            return f"distinct {self.rule.value[0]}", f"{count}: {values}"
        return ("events" if self.rule.kind == "event_count" else "rules in turn"), count

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"shape": self._shape(), **self.windows.dump()}

    def _shape(self) -> str:
        """Say what windows hold; those of another shape mean something else."""
        rule = self.rule
        fields = [[path.name for path in paths] for paths in (*rule.group_by, rule.value)]
        return repr((LATENESS, rule.kind, rule.bases, fields, rule.span, rule.threshold))

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; windows of a rule that has changed since are let go."""
        if state["shape"] != self._shape():
            return
        self.windows.load(state, lambda entries: msgspec.convert(entries, list[Entry]))
