"""Seeds: what memory would keep of the objects of a dump of the cluster, as a record of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from detector.event import LAST
from detector.memory.bodies import KINDS
from detector.memory.memory import Memory

Entries = dict[str, list[tuple[tuple[str, ...], dict[str, Any]]]]
"""By the name of a table: keys and values."""
ROOM = 32_768
"""Bytes of JSON in one seed, or one entry: a record of the log stays small."""
RESOURCES = ",".join(KINDS)
"""What to ask kubectl for."""
_MADE_BY_OTHERS = {"ReplicaSet": 1, "Job": 1, "Pod": 2}


class Seed(msgspec.Struct, frozen=True, tag="seed"):
    """Control: memory knows this of a cluster from here on."""

    entries: Entries
    cluster: str = ""
    who: str = ""
    at: int = 0
    """When it was said (microseconds)."""


def entries_of(objects: Iterable[dict[str, Any]]) -> Entries:
    """Reduce objects of Kubernetes to what memory keeps of them. What it keeps nothing of is passed over."""
    memory = Memory()
    for body in sorted(objects, key=lambda one: _MADE_BY_OTHERS.get(str(one.get("kind")), 0)):
        for subject in memory.subjects.values():
            subject.see(body, LAST)
    return {
        name: [(key, {**msgspec.to_builtins(value), "at": 0}) for key, value in table.items()]
        for name, table in memory.tables()
        if table
    }


def cut(entries: Entries) -> Iterator[Entries]:
    """Cut entries into parts that fit one seed each."""
    part: Entries = {}
    used = 0
    for name, pairs in entries.items():
        for pair in pairs:
            size = len(msgspec.json.encode(pair))
            if part and used + size > ROOM:
                yield part
                part, used = {}, 0
            part.setdefault(name, []).append(pair)
            used += size
    if part:
        yield part
