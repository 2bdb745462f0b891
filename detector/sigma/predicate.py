"""Predicates: what a rule asks of an event, as a small immutable tree with one meaning.

`holds` is that meaning, written plainly. The compiler must agree with it (a property test says so) and `explain` shows
it. All nodes are hashable, so that equal questions of different rules are asked once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec
import re2

from detector.event import Event
from detector.sigma.path import Path

Test = Callable[[Any], bool]


class Atom(msgspec.Struct, frozen=True):
    """One question about one field: does any of its values pass?

    ``kind`` is one of `TESTS`; ``operands`` are what the rule gave. ``wanted`` is how the rule wrote it.
    """

    path: Path
    kind: str
    operands: tuple[Any, ...]
    cased: bool = False
    wanted: str = ""


class Each(msgspec.Struct, frozen=True):
    """Some one element of a list (at ``path``) passes the whole of ``body``."""

    path: Path
    body: Predicate


class And(msgspec.Struct, frozen=True):
    """All of them."""

    parts: tuple[Predicate, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one of them."""

    parts: tuple[Predicate, ...]


class Not(msgspec.Struct, frozen=True):
    """It does not hold: of a list, no element passes."""

    part: Predicate


class Named(msgspec.Struct, frozen=True):
    """A selection under the name the rule gave it."""

    name: str
    part: Predicate


class Since(msgspec.Struct, frozen=True):
    """The time of the event is at or after ``time`` (an exception that has run out)."""

    time: int


class Const(msgspec.Struct, frozen=True):
    """Known beforehand."""

    value: bool


Predicate = Atom | Each | And | Or | Not | Named | Since | Const
FALSE = Const(False)


def text(value: Any) -> str | None:
    """Give the text that stands for a scalar in comparisons (403 and "403" are equal); None for anything else."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value) if abs(value) < 1 << 64 else hex(value)
    if kind is float:
        return str(int(value)) if value.is_integer() and abs(value) < 1 << 64 else repr(value)
    return None


def texts(values: Iterable[Any], *, cased: bool = False) -> list[str]:
    """Give the texts of all scalars among ``values``, lower-cased unless ``cased``."""
    found = [as_text for value in values if (as_text := text(value)) is not None]
    return found if cased else [item.lower() for item in found]


def _equal(operands: tuple[Any, ...]) -> Test:
    return frozenset(operands).__contains__


def _starts(operands: tuple[Any, ...]) -> Test:
    return lambda item: item.startswith(operands)


def _ends(operands: tuple[Any, ...]) -> Test:
    return lambda item: item.endswith(operands)


def _contains(operands: tuple[Any, ...]) -> Test:
    if len(operands) == 1:
        (only,) = operands
        return lambda item: only in item
    return lambda item: any(operand in item for operand in operands)


def _matches(operands: tuple[Any, ...]) -> Test:
    searches = [pattern.search for pattern in _patterns(operands)]
    # As bytes, because of a text the library counts the characters before and after.
    return lambda item: any(search(item.encode()) for search in searches)


def quiet() -> Any:
    """Give RE2 options under which it raises what is wrong, and does not print it as well."""
    options = re2.Options()
    options.log_errors = False
    return options


@lru_cache(maxsize=4096)
def regex(pattern: str) -> Any:
    """Compile on RE2: linear in the text whatever the pattern. Raises ValueError with RE2's own words."""
    try:
        return re2.compile(pattern, quiet())
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def _patterns(operands: tuple[str, ...]) -> list[Any]:
    """Compile regular expressions, those of one question as one where they fit together."""
    if len(operands) > 1:
        with suppress(ValueError):
            return [regex("|".join(f"(?:{operand})" for operand in operands))]
    return [regex(operand) for operand in operands]


def _in_network(operands: tuple[Any, ...]) -> Test:
    networks = [ipaddress.ip_network(operand) for operand in operands]

    def test(item: Any) -> bool:
        address = parse_address(item)
        return address is not None and any(address in network for network in networks)

    return test


@lru_cache(maxsize=4096)
def parse_address(item: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an IP address, IPv4-mapped ones as IPv4; None when it is none."""
    try:
        address = ipaddress.ip_address(item)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TESTS: dict[str, Callable[[tuple[Any, ...]], Test]] = {
    "equal": _equal,
    "startswith": _starts,
    "endswith": _ends,
    "contains": _contains,
    "re": _matches,
    "cidr": _in_network,
    "lt": lambda operands: lambda value: _number(value) and value < operands[0],
    "lte": lambda operands: lambda value: _number(value) and value <= operands[0],
    "gt": lambda operands: lambda value: _number(value) and value > operands[0],
    "gte": lambda operands: lambda value: _number(value) and value >= operands[0],
}
"""Tests of one value by kind. Beside these there are ``null``, ``exists``, ``fieldref`` and ``keyword``."""

COMPARED = frozenset({"lt", "lte", "gt", "gte"})
"""Kinds that compare numbers."""
RAW = COMPARED | {"null", "exists"}
"""Kinds that look at values rather than at their texts."""


def passing(atom: Atom, subject: Any) -> list[Any]:
    """List the values of the atom's field in an event (or element) that pass; for ``null`` a list of None."""
    if atom.kind == "keyword":
        return [item for item in keyword_texts(subject) if _contains(atom.operands)(item)]
    getter, test = _ready(atom)
    values = getter(subject)
    if atom.kind == "null":
        return [] if values else [None]
    if atom.kind == "exists":
        return values
    if atom.kind == "fieldref":
        return _passing_reference(atom, values, subject)
    if atom.kind in RAW:
        return list(filter(test, values))
    return [value for value in values for item in texts([value], cased=atom.cased) if test(item)]


@lru_cache(maxsize=4096)
def _ready(atom: Atom) -> tuple[Callable[[Any], list[Any]], Test]:
    """Give how to read an atom's field and how to test one value of it (nothing passes where that is no test)."""
    test = TESTS[atom.kind](atom.operands) if atom.kind in TESTS else bool
    return atom.path.getter(), test


def _passing_reference(atom: Atom, values: list[Any], subject: Any) -> list[Any]:
    other, compare = atom.operands
    wanted = texts(other.getter()(subject))
    return [value for value in values for item in texts([value]) if any(COMPARE[compare](item, x) for x in wanted)]


COMPARE: dict[str, Callable[[str, str], bool]] = {
    "equal": lambda value, other: value == other,
    "startswith": lambda value, other: value.startswith(other),
    "endswith": lambda value, other: value.endswith(other),
    "contains": lambda value, other: other in value,
}


def keyword_texts(subject: Any) -> list[str]:
    """List every text anywhere in an event, bodies included, lower-cased."""
    found: list[str] = []
    stack: list[Any] = [subject.as_dict() if isinstance(subject, Event) else subject]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        else:
            found.extend(texts([item]))
    return found


def holds(predicate: Predicate, subject: Any, now: int = 0) -> bool:
    """Tell whether a predicate holds of an event (or of a list element) at time ``now``."""
    match predicate:
        case Atom():
            return bool(passing(predicate, subject))
        case Each():
            return any(holds(predicate.body, element, now) for element in predicate.path.getter()(subject))
        case And():
            return all(holds(part, subject, now) for part in predicate.parts)
        case Or():
            return any(holds(part, subject, now) for part in predicate.parts)
        case Not():
            return not holds(predicate.part, subject, now)
        case Named():
            return holds(predicate.part, subject, now)
        case Since():
            return now >= predicate.time
        case Const():
            return predicate.value


def simplify(predicate: Predicate) -> Predicate:
    """Fold constants away; names are dropped, which changes no outcome."""
    match predicate:
        case And() | Or():
            return _simplify_many(predicate)
        case Not():
            inner = simplify(predicate.part)
            return Const(not inner.value) if isinstance(inner, Const) else Not(inner)
        case Named():
            return simplify(predicate.part)
        case _:
            return predicate


def _simplify_many(predicate: And | Or) -> Predicate:
    deciding = isinstance(predicate, Or)
    parts: list[Predicate] = []
    for part in map(simplify, predicate.parts):
        if isinstance(part, Const):
            if part.value is deciding:
                return part
        elif type(part) is type(predicate):
            parts.extend(part.parts)
        else:
            parts.append(part)
    if not parts:
        return Const(not deciding)
    return parts[0] if len(parts) == 1 else type(predicate)(tuple(dict.fromkeys(parts)))


def atoms(predicate: Predicate) -> Iterable[Atom]:
    """Give every atom of a predicate, those about list elements included."""
    match predicate:
        case Atom():
            yield predicate
        case Each():
            yield from atoms(predicate.body)
        case And() | Or():
            for part in predicate.parts:
                yield from atoms(part)
        case Not() | Named():
            yield from atoms(predicate.part)
        case _:
            return
