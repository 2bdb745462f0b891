"""Secrets stay home (law 5): what is known to carry a secret is blanked before an event is kept or shown.

Carriers are Secret data and the last-applied annotation that repeats it, the tokens of TokenRequest and TokenReview,
tokens in request URIs, and anything that looks like a JSON Web Token (RFC 7519).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson

from detector.event import Event

BLANK = "[redacted]"
CARRIERS = frozenset({"secrets", "serviceaccounts", "tokenreviews", "tokenrequests"})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MAX_DEPTH = 100
_SECRET_KEYS = frozenset({"data", "stringData"})
_TOKEN_KEYS = frozenset({"token", LAST_APPLIED})
_CARRYING = _SECRET_KEYS | _TOKEN_KEYS
_PLAIN = frozenset({str, int, float, bool, type(None)})
_NAMED = ("token", "authorization", "password", "secret")
"""Names of parameters whose value is a secret."""
_NAMES = "|".join(_NAMED)
_TOKENS = (
    (("eyj",), re.compile(r"()eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*")),
    (("bearer",), re.compile(r"(?i)(bearer(?:\s|%20|\+)+)[A-Za-z0-9._~+/=%-]{8,}")),
    (
        ("authorization",),
        re.compile(
            r"(?i)(authorization[\"']?(?:\s|:|=|\+|%(?:25)*(?:20|3a|3d|22|27))+[\"']?basic(?:\s|%(?:25)*20|\+)+)"
            r"[A-Za-z0-9._~+/=%-]+"
        ),
    ),
    # In the address of another address (a proxied one, an exec's argument) the signs are percent-encoded, maybe twice.
    (
        [f"{name}%" for name in _NAMED],
        re.compile(rf"(?i)((?:{_NAMES})%(?:25)*3d)(?:(?!%(?:25)*(?:26|23|20|0a|22|27))[^&#\s])+"),
    ),
    (
        [f"{name}=" for name in _NAMED],
        re.compile(rf"(?i)([?&](?:access_|id_|refresh_|bearer_)?(?:{_NAMES})=)[^&#\s]+"),
    ),
)
"""What tokens look like, each with the words (lower case) of which a text must have one. The first group is kept."""
_STEMS = tuple({word.rstrip("%="): None for words, _ in _TOKENS for word in words})


def scrub(text: str) -> str:
    """Blank the tokens in a text."""
    if text.isidentifier():  # nothing that separates the parts of a token, as in most keys and words
        return text
    has = text.lower().__contains__
    if not any(map(has, _STEMS)):
        return text
    for words, pattern in _TOKENS:
        if any(map(has, words)):
            text = pattern.sub(rf"\1{BLANK}", text)
    return text


def blank(event: Event) -> Event:
    """Blank the secrets of an event in place and give it back; events that carry none cost next to nothing."""
    uri, ref = event.requestURI, event.objectRef
    if uri is not None and ("=" in uri or "%" in uri or "eyJ" in uri):
        event.requestURI = scrub(uri)
    if ref is not None and ref.resource in CARRIERS:
        for attribute in ("requestObject", "responseObject"):
            if memoryview(getattr(event, attribute)):
                setattr(event, attribute, _blank_raw(getattr(event, attribute)))
    return event


def _blank_raw(raw: msgspec.Raw) -> msgspec.Raw:
    try:
        body = orjson.loads(memoryview(raw))
    except (orjson.JSONDecodeError, RecursionError):
        return msgspec.Raw(orjson.dumps(BLANK))
    return msgspec.Raw(orjson.dumps(blank_body(body)))


def blank_body(body: Any) -> Any:
    """Give a body of a carrier (object, list, table or JSON patch) without its secrets; beyond 100 levels all goes."""
    if isinstance(body, list):
        return [_blank_operation(item) if isinstance(item, dict) else BLANK for item in body]
    return _blank_object(body, _MAX_DEPTH) if isinstance(body, dict) else BLANK


def _blank_operation(operation: dict[str, Any]) -> dict[str, Any]:
    """Blank one operation of a JSON patch (RFC 6902) wherever it may touch data."""
    return {
        key: value if key in {"op", "path", "from"} else _blank_any(value, _MAX_DEPTH)
        for key, value in operation.items()
    }


def _blank_any(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        return {key: _blank_any(item, depth - 1) for key, item in value.items()}
    return BLANK if isinstance(value, str | list | dict) else value


def _blank_object(body: dict[str, Any], depth: int) -> Any:
    if depth <= 0:
        return BLANK
    return {
        key: value if value.__class__ in _PLAIN and key not in _CARRYING else _blank_value(key, value, depth - 1)
        for key, value in body.items()
    }


def _blank_value(key: str, value: Any, depth: int) -> Any:
    if key in _SECRET_KEYS:
        return dict.fromkeys(value, BLANK) if isinstance(value, dict) else BLANK
    if key == "items" and isinstance(value, list):
        return [_blank_object(item, depth) if isinstance(item, dict) else BLANK for item in value]
    if key in _TOKEN_KEYS and value:
        return BLANK
    return _blank_inside(value, depth)


def _blank_inside(value: Any, depth: int) -> Any:
    """Blank the objects that a value is or holds at any depth, such as the rows of a Table."""
    if isinstance(value, dict):
        return _blank_object(value, depth)
    if isinstance(value, list):
        return [_blank_inside(item, depth - 1) for item in value] if depth > 0 else BLANK
    return value


def scrub_all(value: Any) -> Any:
    """Give a JSON value with the tokens in all its texts blanked; nesting beyond 100 levels is left out."""
    return _scrub_all(value, _MAX_DEPTH)


def _scrub_all(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if not depth:
        return None
    if isinstance(value, dict):
        return {
            scrub(key): scrub(item) if item.__class__ is str else _scrub_all(item, depth - 1)
            for key, item in value.items()
        }
    return [_scrub_all(item, depth - 1) for item in value] if isinstance(value, list) else value
