"""JSON texts: writing them, keeping them on a terminal's good side, and making documents that are never too large."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

DELETE = 0x7F
"""The first character beyond printable ASCII."""
ROOMS = (4096, 1024, 512, 256, 128, 64, 32, 16, 8, 4)
"""Characters of a text and items of a list: so much is tried first, then ever less."""
KEYS = 64
"""Keys are never cut below so many characters, nor objects below so many keys."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGERS = range(-(1 << 63), 1 << 64)

Document = TypeVar("Document", dict[str, Any], str)


def dumps(record: Any) -> bytes:
    """Write JSON; texts that are not Unicode (lone surrogates) are written as escapes rather than refused."""
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError:
        return json.dumps(record, separators=(",", ":")).encode()


def printable(text: bytes) -> bytes:
    """Escape all that is not ASCII in a JSON text: what is printed must not act on a terminal."""
    if text.isascii() and b"\x7f" not in text:
        return text
    return text.decode("utf-8", "backslashreplace").translate(_Escapes()).encode("ascii")


class _Escapes(dict[int, str]):
    """A translation table that writes characters beyond printable ASCII as JSON does: with UTF-16 code units."""

    def __missing__(self, code: int) -> str:
        if code < DELETE:
            return chr(code)
        units = chr(code).encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def size(document: dict[str, Any] | str) -> int:
    """Give the length of a text or of a document's JSON in UTF-8, in bytes; a document that is no JSON is endless."""
    if isinstance(document, str):
        return len(document.encode())
    try:
        return len(orjson.dumps(document))
    except orjson.JSONEncodeError:
        return sys.maxsize


def fit(build: Callable[[int], Document], limit: int) -> Document:
    """Build a document with ever less room for each text and list until it is not larger than ``limit`` bytes.

    So an ordinary alert is told in full, and a huge one is told, where a fixed length would cut the one or refuse the
    other.
    """
    for room in ROOMS[:-1]:
        document = build(room)
        if size(document) <= limit:
            return document
    return build(ROOMS[-1])


def clean(text: str, room: int) -> str:
    """Give a text as JSON may hold it: at most ``room`` characters, no lone surrogates. Nothing else is escaped."""
    return _SURROGATE.sub("\ufffd", text if len(text) <= room else text[: room - 1] + "…")


def shrink(value: Any, room: int) -> Any:
    """Give a JSON value with at most ``room`` characters in each text, and ``room`` items in each list."""
    if isinstance(value, str):
        return clean(value, room)
    if isinstance(value, dict):
        most = max(room, KEYS)
        return {clean(str(key), most): shrink(item, room) for key, item in list(value.items())[:most]}
    if isinstance(value, list | tuple):
        return [shrink(item, room) for item in value[:room]]
    return str(value)[:room] if isinstance(value, int) and value not in _INTEGERS else value
