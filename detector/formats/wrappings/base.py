"""What a wrapping is: one file here with a ``WRAPPING``, found by `detector.formats.wrappings.WRAPPINGS`.

A wrapping recognises a parsed JSON object (``unwrap``) or a line of text (``strip``) and hands out what is inside.
Parts are decoded in turn, so wrappings may be nested.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec

from detector.errors import RejectedError
from detector.event import Event

INFLATED_LIMIT = 64 << 20
"""Bytes one compressed part may yield."""


class Skip(Enum):
    """A part that is known and carries no audit event; it is counted."""

    SKIP = "skip"


SKIP = Skip.SKIP


class Unreadable(msgspec.Struct, frozen=True):
    """A part that should carry an event and does not, and why."""

    reason: str


Part = Event | Unreadable | Skip | bytes | str | dict[str, Any] | list[Any] | None
"""An event; JSON text; parsed JSON (None is a JSON null: an absent part)."""


class Line(msgspec.Struct, frozen=True):
    """A line of text without its prefix; ``partial`` lines of one ``stream`` belong together up to the first other."""

    payload: bytes
    partial: bool = False
    stream: bytes = b""
    table: bool = False
    """At the beginning of a stream: it is the head of a table, in which every line is one record."""


class Example(msgspec.Struct, frozen=True):
    """A documented sample, made up, and what it decodes to. The contract suite runs on these."""

    raw: bytes
    events: int
    skipped: int = 0
    rejected: int = 0


class Wrapping(msgspec.Struct, frozen=True):
    """One way of wrapping audit events."""

    name: str
    order: int
    """Sniffing order, ascending: the more specific first."""
    examples: tuple[Example, ...]
    unwrap: Callable[[Mapping[str, Any]], list[Part] | None] | None = None
    """Gives the parts of a JSON object; None when it is not of this wrapping."""
    strip: Callable[[bytes], Line | None] | None = None
    """Gives the payload of a line of text; None when it is not of this wrapping."""


def items(value: Any) -> list[Part]:
    """Give the elements of a list; one unreadable part when it is none."""
    return list(value) if isinstance(value, list) else [Unreadable("a list was expected in a wrapping")]


def inflate(data: bytes) -> bytes:
    """Decompress gzip, several members too.

    :raises RejectedError: damaged, cut off, or beyond `INFLATED_LIMIT`.
    """
    parts: list[bytes] = []
    room = INFLATED_LIMIT
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(data, room))
        except zlib.error:
            raise RejectedError("damaged gzip in a wrapping") from None
        room -= len(parts[-1])
        if not member.eof:
            raise RejectedError("compressed part over the size limit" if room <= 0 else "gzip cut off in a wrapping")
        data = member.unused_data
        room = max(room, 1)
    return b"".join(parts)


def base64_part(value: Any) -> bytes | Unreadable:
    """Decode base64 text, and gzip below it."""
    if not isinstance(value, str):
        return Unreadable("base64 text was expected in a wrapping")
    try:
        data = base64.b64decode(value, validate=True)
        return inflate(data) if data.startswith(b"\x1f\x8b") else data
    except (binascii.Error, ValueError):
        return Unreadable("damaged base64 in a wrapping")
    except RejectedError as error:
        return Unreadable(str(error))
