"""Reading what strict parsers refuse, so that no odd byte or attribute can hide an event.

Go, which writes audit logs, accepts more than Python's fast parsers: lone surrogates, invalid UTF-8, 10,000 levels of
nesting in a patch body. Here such text is repaired (U+FFFD as in Go, values nested too deep become null) and an event's
attributes are coerced one by one; one that cannot be is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import orjson

from detector.errors import RejectedError
from detector.event import AuthenticationMetadata, Event, ObjectRef, ResponseStatus, UserInfo

S = TypeVar("S", bound=msgspec.Struct)

MAX_DEPTH = 200
"""Levels kept of a value nested too deep for the parsers; orjson writes at most 254."""

NOTHING = Event().requestObject
"""The body of an event that has none: this very object is left out when the event is written."""

GO_MAX_DEPTH = 10_000
"""``encoding/json`` refuses more, so no API server has written it."""

_CODE = 1 << 31
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
    """Replace every value nested deeper than `MAX_DEPTH` by null.

    :raises RejectedError: nested deeper than `GO_MAX_DEPTH`.
    """
    kept: list[bytes] = []
    depth = done = 0
    for token in _TOKEN.finditer(raw):
        byte = raw[token.start()]
        if byte in b"[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept.append(raw[done : token.start()] + b"null")
            elif depth > GO_MAX_DEPTH:
                raise RejectedError("nested too deep", token.start())
        elif byte in b"]}":
            if depth == MAX_DEPTH + 1:
                done = token.end()
            depth -= 1
    return b"".join([*kept, raw[done:]])


def text(value: Any) -> str | None:
    """Read a string; numbers and booleans are written as JSON would."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def code(value: Any) -> int | None:
    """Read a status code: a whole number of 32 bits, also as a string or as 403.0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > _MAX_DIGITS:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if -_CODE <= number < _CODE and number.is_integer() else None


def texts(value: Any) -> list[str] | None:
    """Read a list of strings; a single one counts as a list of one, what is none is left out."""
    if isinstance(value, list):
        return [item for item in map(text, value) if item is not None]
    single = text(value)
    return None if single is None else [single]


def strings(value: Any) -> dict[str, str] | None:
    """Read a map of strings; entries that are none are left out."""
    if not isinstance(value, dict):
        return None
    return {key: item for key, item in ((key, text(item)) for key, item in value.items()) if item is not None}


def extra(value: Any) -> dict[str, list[str] | None] | None:
    """Read ``user.extra``: a map of lists of strings."""
    return {key: texts(item) for key, item in value.items()} if isinstance(value, dict) else None


def user(value: Any) -> UserInfo | None:
    """Read a user; a bare string is a name."""
    if isinstance(value, str):
        return UserInfo(username=value)
    return _struct(value, UserInfo, {"groups": texts, "extra": extra})


def object_ref(value: Any) -> ObjectRef | None:
    """Read an object reference."""
    return _struct(value, ObjectRef, {})


def status(value: Any) -> ResponseStatus | None:
    """Read a status; a bare number is a code."""
    if isinstance(value, dict):
        return _struct(value, ResponseStatus, {"code": code})
    number = code(value)
    return None if number is None else ResponseStatus(code=number)


def authentication(value: Any) -> AuthenticationMetadata | None:
    """Read the authentication metadata."""
    return _struct(value, AuthenticationMetadata, {})


def body(value: Any) -> msgspec.Raw:
    """Write a body as raw JSON; empty when it cannot be."""
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except (RecursionError, MemoryError, ValueError, OverflowError, TypeError):
        return NOTHING


_COERCE: dict[str, Callable[[Any], Any]] = {
    "user": user,
    "impersonatedUser": user,
    "authenticationMetadata": authentication,
    "sourceIPs": texts,
    "objectRef": object_ref,
    "responseStatus": status,
    "requestObject": body,
    "responseObject": body,
    "annotations": strings,
}


def _struct(value: Any, kind: type[S], coerce_with: dict[str, Callable[[Any], Any]]) -> S | None:
    if not isinstance(value, dict):
        return None
    attributes: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        if name in value:
            read: Callable[[Any], Any] = coerce_with.get(name, text)
            attributes[name] = read(value[name])
    return kind(**attributes)


def coerce(value: dict[str, Any]) -> Event:
    """Make an event of a parsed object, each attribute as well as it can be read."""
    return _struct(value, Event, _COERCE) or Event()
