"""What happened to the events of a cluster; nothing is silent (law 9)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Counters(msgspec.Struct):
    """Events and records, each counted where it belongs."""

    events: int = 0
    rejected: int = 0
    skipped: int = 0
    duplicates: int = 0
    late: int = 0
    undated: int = 0
    clamped: int = 0
    truncated: int = 0
    findings: int = 0
    suppressed: int = 0
    failed: int = 0
    """Events on which something of ours raised; their neighbours were looked at as usual."""
    set_back: int = 0
    """Times that the clock went back, and windows and alerts began anew."""
    evicted: int = 0
    """Alerts closed early because too many were open."""
    let_go: int = 0
    """Groups of correlations and requests forgotten because there were too many."""
    failures: dict[str, int] = {}
    """Ids of rules that raised, and how often."""
    silenced: dict[str, int] = {}
    """Titles of filters, and how many findings each has silenced."""

    def numbers(self) -> dict[str, int]:
        """Give every counter as one number; those by name are added up."""
        return {
            name: value if isinstance(value, int) else sum(value.values())
            for name, value in msgspec.structs.asdict(self).items()
        }


def total(all_of_them: Iterable[Counters]) -> Counters:
    """Add up the counters of several clusters."""
    sums = Counters()
    for one in all_of_them:
        for name in Counters.__struct_fields__:
            value = getattr(one, name)
            if isinstance(value, int):
                setattr(sums, name, getattr(sums, name) + value)
            else:
                names = getattr(sums, name)
                names.update({key: names.get(key, 0) + more for key, more in value.items()})
    return sums
