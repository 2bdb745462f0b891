"""Reading attributes that are not of the type they should be, so that no odd one can hide an event.

They are coerced one by one; one that cannot be is None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from detector.event import AuthenticationMetadata, Event, ObjectRef, ResponseStatus, UserInfo

S = TypeVar("S", bound=msgspec.Struct)

NOTHING = Event().requestObject
"""The body of an event that has none: this very object is left out when the event is written."""

_CODE = 1 << 31
_MAX_DIGITS = 20


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
