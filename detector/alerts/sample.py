"""Samples: events as an alert shows them, redacted and bounded. They are kept as JSON, a fraction of its objects."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from detector.event import Event
from detector.redaction import scrub_all

MAX_SAMPLE = 16_384
"""Longest sample event kept whole, in bytes of JSON; of a longer one the bodies are left out."""
MAX_TEXT = 256
"""Longest text in a sample that is too long as a whole."""
MAX_LISTED = 20
"""Most items of a list in a sample that is too long as a whole."""
_NO_BODY = msgspec.Raw()


def written(event: Event, *, bodies: bool = True) -> bytes:
    """Give an event as it may be shown, as JSON of `MAX_SAMPLE` bytes at most: tokens blanked, long bodies left out."""
    if not bodies or len(memoryview(event.requestObject)) + len(memoryview(event.responseObject)) > MAX_SAMPLE:
        return _without_bodies(event)
    shown = orjson.dumps(scrub_all(event.as_dict()), default=str)
    return shown if len(shown) <= MAX_SAMPLE else _without_bodies(event)


def _without_bodies(event: Event) -> bytes:
    plain = scrub_all(msgspec.structs.replace(event, requestObject=_NO_BODY, responseObject=_NO_BODY).as_dict())
    shown = orjson.dumps(plain, default=str)
    return shown if len(shown) <= MAX_SAMPLE else _shortest(plain)


def _shortest(plain: Any) -> bytes:
    """Shorten what is long: the client chooses some of these texts, the rest has few places to be long in."""
    most = MAX_TEXT
    while len(shown := orjson.dumps(_cut(plain, most), default=str)) > MAX_SAMPLE:
        most //= 2
    return shown


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else value[: most - 1] + "…"
    if isinstance(value, dict):
        return {_cut(key, most): _cut(item, most) for key, item in list(value.items())[:MAX_LISTED]}
    return [_cut(item, most) for item in value[:MAX_LISTED]] if isinstance(value, list) else value
