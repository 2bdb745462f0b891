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
_TOKEN_IN_URI = re.compile(
    r"(?i)([?&](?:access_|id_|refresh_|bearer_)?(?:token|authorization|password|secret)=)[^&#\s]+"
)
# In the address of another address (a proxied one, an exec's argument) the signs are percent-encoded, maybe twice.
_TOKEN_ENCODED = re.compile(
    r"(?i)((?:token|authorization|password|secret)%(?:25)*3d)(?:(?!%(?:25)*(?:26|23|20|0a|22|27))[^&#\s])+"
)
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*")
_BASIC = re.compile(
    r"(?i)(authorization[\"']?(?:\s|:|=|\+|%(?:25)*(?:20|3a|3d|22|27))+[\"']?basic(?:\s|%(?:25)*20|\+)+)[A-Za-z0-9._~+/=%-]+"
)
_BEARER = re.compile(r"(?i)(bearer(?:\s|%20|\+)+)[A-Za-z0-9._~+/=%-]{8,}")


def scrub(text: str) -> str:
    """Blank the tokens in a text."""
    if "eyJ" in text:
        text = _JWT.sub(BLANK, text)
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.sub(rf"\1{BLANK}", text)
    if "basic" in lower:
        text = _BASIC.sub(rf"\1{BLANK}", text)
    if "3d" in lower:
        text = _TOKEN_ENCODED.sub(rf"\1{BLANK}", text)
    return _TOKEN_IN_URI.sub(rf"\1{BLANK}", text) if "=" in text else text


def _suspect(uri: str) -> bool:
    """Tell quickly that there is nothing to scrub, as in nearly every URI."""
    low = uri.lower()
    return (
        "token=" in low
        or "secret=" in low
        or "password=" in low
        or "ation=" in low
        or "bearer" in low
        or "basic" in low
        or "eyj" in low
        or ("3d" in low and _TOKEN_ENCODED.search(low) is not None)
    )


def blank(event: Event) -> Event:
    """Blank the secrets of an event in place and give it back; events that carry none cost next to nothing."""
    uri, ref = event.requestURI, event.objectRef
    if uri is not None and ("=" in uri or "%" in uri or "eyJ" in uri) and _suspect(uri):
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
    return {key: _blank_value(key, value, depth - 1) for key, value in body.items()} if depth > 0 else BLANK


def _blank_value(key: str, value: Any, depth: int) -> Any:
    if key in _SECRET_KEYS:
        return dict.fromkeys(value, BLANK) if isinstance(value, dict) else BLANK
    if key == "items" and isinstance(value, list):
        return [_blank_object(item, depth) if isinstance(item, dict) else BLANK for item in value]
    if key in {"token", LAST_APPLIED} and value:
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
        return {scrub(key): _scrub_all(item, depth - 1) for key, item in value.items()}
    return [_scrub_all(item, depth - 1) for item in value] if isinstance(value, list) else value
