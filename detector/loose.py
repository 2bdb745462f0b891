"""JSON as Go reads it, which writes audit logs: more than Python's fast parsers take.

Lone surrogates, invalid UTF-8, numbers of any length, 10,000 levels of nesting in a patch body: such text is repaired
(U+FFFD as in Go, numbers no float holds become null, values nested too deep become null), so that nothing can hide by
being odd.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from detector.errors import RejectedError

MAX_DEPTH = 200
"""Levels kept of a value nested too deep for the parsers; orjson writes at most 254."""

_WHOLE_LIMIT = 1 << 63
_MAX_DIGITS = 20
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(raw: bytes) -> Any:
    """Parse one JSON document: strictly where possible, else with repairs. Duplicate keys: the last wins.

    :raises RejectedError: it is no JSON. ``args[1]`` is the byte where reading failed, None when unknown.
    """
    try:
        return orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError, MemoryError):
        return _parse_loosely(raw)


def _parse_loosely(raw: bytes) -> Any:
    try:
        return _loose(raw)
    except RecursionError:
        pass
    except MemoryError:
        raise RejectedError("too large to parse", None) from None
    try:
        return _loose(prune(raw))
    except (RecursionError, MemoryError):
        raise RejectedError("nested too deep", None) from None


def _loose(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            written = json.dumps(value, ensure_ascii=False)
            value = _DECODER.decode(written.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
    except json.JSONDecodeError as error:
        raise RejectedError(f"not JSON: {error.msg}", len(text[: error.pos].encode("utf-8", "replace"))) from None
    return value


def _whole(digits: str) -> int | float | None:
    if len(digits) <= _MAX_DIGITS and abs(int(digits)) < _WHOLE_LIMIT:
        return int(digits)
    return _fraction(digits)


def _fraction(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) != float("inf") else None


def _no_number(_name: str) -> None:
    """Read NaN and Infinity as null: JSON has no such numbers."""


_DECODER = json.JSONDecoder(strict=False, parse_int=_whole, parse_float=_fraction, parse_constant=_no_number)


def prune(raw: bytes) -> bytes:
    """Replace every value nested deeper than `MAX_DEPTH` by null, so that however deep it is, it costs only itself."""
    kept: list[bytes] = []
    depth = done = 0
    for token in _TOKEN.finditer(raw):
        byte = raw[token.start()]
        if byte in b"[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept.append(raw[done : token.start()] + b"null")
        elif byte in b"]}":
            if depth == MAX_DEPTH + 1:
                done = token.end()
            depth -= 1
    return b"".join([*kept, raw[done:]])
