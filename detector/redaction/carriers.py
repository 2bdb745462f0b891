"""Bodies that carry secrets by what they are: Secrets, tokens asked for and reviewed, variables with telling names.

A carrier is known by the resource a request is about, or by its kind, at any depth: in a list of mixed kinds, in a
table, wrapped in an answer. Names of keys are compared as Go's parser of JSON does, which knows no case.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson

from detector import loose
from detector.errors import RejectedError
from detector.event import read_body
from detector.redaction.tokens import BLANK, MAX_DEPTH, NAME, scrub_all, suspect

RESOURCES = frozenset({"secrets", "serviceaccounts", "tokenreviews", "tokenrequests"})
KINDS = frozenset({"Secret", "SecretList", "TokenRequest", "TokenReview"})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LAST_APPLIED_POINTER = LAST_APPLIED.replace("/", "~1")
"""As it stands in the path of a JSON patch (RFC 6901)."""
_SECRET_KEYS = frozenset({"data", "stringdata"})
_TOKEN_KEYS = frozenset({"token", LAST_APPLIED})
_TELLING = re.compile(rf"(?:{NAME})$")
"""Names of environment variables whose value is a secret."""
_CARRYING = _SECRET_KEYS | _TOKEN_KEYS
_PLAIN = frozenset({str, int, float, bool, type(None)})


def blank_raw(raw: msgspec.Raw, carrier: bool) -> msgspec.Raw:
    """Give a body without its secrets and tokens; ``carrier`` when the request is about one of `RESOURCES`.

    What is no JSON is left out as a whole.
    """
    written = orjson.dumps(blank_body(read_body(raw), carrier))
    return msgspec.Raw(orjson.dumps(scrub_all(orjson.loads(written))) if suspect(written) else written)


def blank_body(body: Any, carrier: bool = True) -> Any:
    """Give a body (object, list, table or JSON patch) without its secrets; beyond `MAX_DEPTH` levels all goes.

    Of a carrier that is neither object nor list nothing stays, nor of a JSON patch of one what it may write.
    """
    if not carrier:
        return _blank_inside(body, False, MAX_DEPTH)
    if isinstance(body, list):
        return [_blank_operation(item) if isinstance(item, dict) else BLANK for item in body]
    return _blank_object(body, True, MAX_DEPTH) if isinstance(body, dict) else BLANK


def _blank_operation(operation: dict[str, Any]) -> dict[str, Any]:
    """Blank one operation of a JSON patch (RFC 6902) wherever it may touch data."""
    return {
        key: value if key in {"op", "path", "from"} else blank_any(value, MAX_DEPTH) for key, value in operation.items()
    }


def blank_any(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Blank a value whatever it is; of an object the keys stay."""
    if isinstance(value, dict) and depth:
        return {key: blank_any(item, depth - 1) for key, item in value.items()}
    return value if value is None or isinstance(value, bool) else BLANK


def _blank_object(body: dict[str, Any], carrier: bool, depth: int) -> Any:
    if depth <= 0:
        return BLANK
    carrier = carrier or any(_is_carrier(key, value) for key, value in body.items())
    blanked = {
        key: value
        if value.__class__ in _PLAIN and key.casefold() not in _CARRYING
        else _blank_value(key.casefold(), value, carrier, depth - 1)
        for key, value in body.items()
    }
    if value := body.get("value"):
        if _TELLING.search(str(body.get("name"))):
            blanked["value"] = BLANK
        elif str(body.get("path")).endswith(_LAST_APPLIED_POINTER):
            blanked["value"] = _blank_applied(value, depth - 1)
    return blanked


def _is_carrier(key: str, value: Any) -> bool:
    return value.__class__ is str and value in KINDS and key.casefold() == "kind"


def _blank_value(key: str, value: Any, carrier: bool, depth: int) -> Any:
    """Blank what is under a key, which is given without case."""
    if carrier and key in _SECRET_KEYS:
        return dict.fromkeys(value, BLANK) if isinstance(value, dict) else BLANK
    if carrier and key == "items" and isinstance(value, list):
        return [_blank_object(item, True, depth) if isinstance(item, dict) else BLANK for item in value]
    if value and carrier and key in _TOKEN_KEYS:
        return BLANK
    if value and key == LAST_APPLIED:
        return _blank_applied(value, depth)
    return _blank_inside(value, carrier, depth)


def _blank_applied(applied: Any, depth: int) -> Any:
    """Blank the secrets in a last-applied annotation, which repeats an object as text; what is no JSON goes."""
    if not isinstance(applied, str):
        return _blank_inside(applied, False, depth)
    try:
        body = loose.parse(applied.encode("utf-8", "replace"))
    except RejectedError:
        return BLANK
    # Tokens are looked for here, where letters are no longer in disguise.
    blanked = scrub_all(_blank_inside(body, False, depth))
    return applied if blanked == body else orjson.dumps(blanked).decode()


def _blank_inside(value: Any, carrier: bool, depth: int) -> Any:
    """Blank the objects that a value is or holds at any depth, such as the rows of a Table."""
    if isinstance(value, dict):
        return _blank_object(value, carrier, depth)
    if isinstance(value, list):
        return [_blank_inside(item, carrier, depth - 1) for item in value] if depth > 0 else BLANK
    return value
