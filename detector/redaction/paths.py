"""Paths of your own that are blanked, as rules name values: ``requestObject.spec.containers.env.value``.

A path through a list means each of its elements, ``*`` is every key, and after annotations, labels and the like the
rest is one key. In a JSON patch (RFC 6902) the pointer of an operation is part of the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from detector.event import Event, ObjectRef, ResponseStatus, UserInfo, read_body
from detector.loose import prune
from detector.redaction.carriers import blank_any
from detector.redaction.tokens import BLANK, MAX_DEPTH

Keys = tuple[str, ...]

BODIES = ("requestObject", "responseObject")
ONE_KEY_AFTER = frozenset({"annotations", "labels", "extra", "matchLabels", "nodeSelector"})
EVERY = "*"
_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "user": UserInfo,
    "impersonatedUser": UserInfo,
    "objectRef": ObjectRef,
    "responseStatus": ResponseStatus,
}
_TEXTS = frozenset({"auditID", "requestURI", "userAgent", "sourceIPs"})
_MAPPINGS = frozenset({"annotations", "user.extra", "impersonatedUser.extra"})
_NUMBERS = frozenset({"responseStatus.code"})


def parse(path: str) -> Keys:
    """Read a path. Raises ValueError that says what is wrong with it."""
    keys = _split(path)
    if "" in keys:
        raise ValueError(f"{path!r} has an empty part: write it like requestObject.spec.containers.env.value")
    root, depth = keys[0], len(keys)
    if root in BODIES or root in _TEXTS:
        if (depth > 1) != (root in BODIES):
            raise ValueError(f"{path!r} {'blanks a whole body: name a part of it' if depth == 1 else 'has no parts'}")
        return keys
    if root in _STRUCTS:
        _check_attribute(path, keys)
    elif root != "annotations":
        known = ", ".join([*BODIES, "annotations", *_STRUCTS, *sorted(_TEXTS)])
        raise ValueError(f"{path!r} begins with none of {known}")
    if depth > 1 + (root in _STRUCTS) + (".".join(keys[:-1]) in _MAPPINGS):
        raise ValueError(f"{path!r} goes on where there is only text")
    return keys


def _split(path: str) -> Keys:
    keys = path.split(".")
    for number, key in enumerate(keys[:-1], 1):
        if key in ONE_KEY_AFTER:
            return (*keys[:number], ".".join(keys[number:]))
    return tuple(keys)


def _check_attribute(path: str, keys: Keys) -> None:
    names = _STRUCTS[keys[0]].__struct_fields__
    if len(keys) == 1 or keys[1] not in names or ".".join(keys[:2]) in _NUMBERS:
        texts = [name for name in names if f"{keys[0]}.{name}" not in _NUMBERS]
        raise ValueError(f"{path!r} names no text: {keys[0]} has {', '.join(texts)}")


class Paths:
    """What is to be blanked in every event."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Raises ValueError for a path that cannot be."""
        parsed = [parse(path) for path in paths]
        self._bodies = {body: [keys[1:] for keys in parsed if keys[0] == body] for body in BODIES}
        self._others = [keys for keys in parsed if keys[0] not in BODIES]

    def blank(self, event: Event) -> None:
        """Blank what the paths lead to in an event, in place."""
        for keys in self._others:
            _blank_attribute(event, keys)
        for body, paths in self._bodies.items():
            if paths and memoryview(getattr(event, body)):
                setattr(event, body, _blank_raw(getattr(event, body), paths))


def _blank_attribute(holder: Any, keys: Keys) -> None:
    """Blank an attribute of an event or of its parts; what was a list stays one."""
    value = getattr(holder, keys[0])
    if not value:
        return
    if isinstance(value, msgspec.Struct):
        _blank_attribute(value, keys[1:])
    elif isinstance(value, dict):
        chosen = [key for key in value if keys[1:] in ((), (EVERY,), (key,))]
        value.update({key: _blanked(value[key]) for key in chosen})
    else:
        setattr(holder, keys[0], _blanked(value))


def _blanked(value: Any) -> Any:
    return [BLANK] * len(value) if isinstance(value, list) else BLANK


def _blank_raw(raw: msgspec.Raw, paths: list[Keys]) -> msgspec.Raw:
    body = read_body(raw)
    for keys in paths:
        body = _blank_patch(body, keys) if isinstance(body, list) else blank_path(body, keys)
    try:
        return msgspec.Raw(orjson.dumps(body))
    except orjson.JSONEncodeError:  # more levels than can be written; with fewer it can be
        return _blank_raw(msgspec.Raw(prune(bytes(raw))), paths)


def blank_path(value: Any, keys: Keys, depth: int = MAX_DEPTH) -> Any:
    """Give a JSON value with what lies at ``keys`` blanked."""
    if isinstance(value, list):
        return [blank_path(item, keys, depth - 1) for item in value] if depth else BLANK
    if not keys:
        return blank_any(value, depth)
    if not isinstance(value, dict):
        return value
    return {
        key: blank_path(item, keys[1:], depth - 1) if keys[0] in (key, EVERY) else item for key, item in value.items()
    }


def _blank_patch(patch: list[Any], keys: Keys) -> list[Any]:
    """Blank the values of a JSON patch that lie on a path, or hold something that does."""
    return [_blank_operation(one, keys) if isinstance(one, dict) else one for one in patch]


def _blank_operation(operation: dict[str, Any], keys: Keys) -> dict[str, Any]:
    left = _walk(str(operation.get("path", "")), keys)
    if left is None or "value" not in operation:
        return operation
    return {**operation, "value": blank_path(operation["value"], left)}


def _walk(pointer: str, keys: Keys) -> Keys | None:
    """Give what is left of a path behind a JSON pointer (RFC 6901); None when it leads elsewhere."""
    for token in pointer.split("/")[1:]:
        if not keys:
            return keys
        key = token.replace("~1", "/").replace("~0", "~")
        if keys[0] in (key, EVERY):
            keys = keys[1:]
        elif not (key.isdecimal() or key == "-"):
            return None
    return keys
