"""The native form: the alert as it is, with levels by name and times as RFC 3339.

It is what ``replay --out`` writes and ``/api`` answers, and what sinks send that name no other encoding. docs/alerts.md
lists its keys.
"""

from __future__ import annotations

from typing import Any

import msgspec

from detector.encodings.jsontext import fit, shrink, size
from detector.event import micros, rfc3339
from detector.finding import Alert, Level

NAME = "native"
LIMIT = 1_000_000
"""Bytes; brokers and collectors commonly refuse messages beyond a megabyte. No ordinary alert comes near."""
SAMPLED = 256
"""With less room than this, the samples are left out."""


def encode(alert: Alert, *, samples: bool = True, limit: int = LIMIT) -> dict[str, Any]:
    """Give an alert as plain JSON types. One beyond ``limit`` bytes is `shrunk`."""
    record: dict[str, Any] = msgspec.to_builtins(alert)
    if not samples:
        del record["samples"]
    whole = _in_words(record, alert)
    return whole if size(whole) <= limit else fit(lambda room: shrunk(alert, room, samples=samples), limit)


def decode(record: dict[str, Any]) -> Alert:
    """Read what `encode` gives; samples that were left out are none. Raises msgspec.ValidationError, ValueError."""
    rule = {**record["rule"], "level": Level[record["rule"]["level"]]}
    times = {name: micros(record[name]) for name in ("first_seen", "last_seen")}
    story = [{**one, "time": micros(one["time"]), "level": Level[one["level"]]} for one in record.get("story", ())]
    words = {**times, "level": Level[record["level"]], "rule": rule, "story": story}
    return msgspec.convert({"samples": (), **record, **words}, Alert)


def shrunk(alert: Alert, room: int, *, samples: bool = True) -> dict[str, Any]:
    """Give an alert with its texts cut to ``room`` characters and its lists to as many items."""
    record: dict[str, Any] = msgspec.to_builtins(alert)
    if not samples or room < SAMPLED:
        del record["samples"]
    return _in_words(shrink(record, room), alert)


def _in_words(record: dict[str, Any], alert: Alert) -> dict[str, Any]:
    return {
        **record,
        "id": alert.id,
        "status": alert.status,
        "change": alert.change,
        "level": alert.level.name,
        "rule": {**record["rule"], "id": alert.rule.id, "level": alert.rule.level.name},
        "first_seen": rfc3339(alert.first_seen),
        "last_seen": rfc3339(alert.last_seen),
        "story": [
            {**record["story"][place], "time": rfc3339(one.time), "level": one.level.name}
            for place, one in enumerate(alert.story[: len(record["story"])])
        ],
    }
