"""Everything that is wrong with a document that cannot be used, each mistake where it stands.

Each part is tried by itself, in the place of the same part of a rule that is right: what fails then is to blame.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from string import Formatter
from typing import Any, NamedTuple

from pydantic import ValidationError
from sigma.conditions import ConditionIdentifier, ConditionSelector
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaLogSource, SigmaRule
from sigma.rule.base import check_alias_expansion

from detector.errors import RuleError
from detector.sigma.document import UNUSABLE, check_logsource, correlated_fields, correlation
from detector.sigma.message import pieces
from detector.sigma.path import parse
from detector.sigma.rule import Extras
from detector.sigma.source import Document
from detector.sigma.translate import POLICY, ask, condition_tree, part

Trail = tuple[str | int, ...]
Attempt = Callable[[Any], object]

BODIES = {"detection", "filter", "correlation", "redshank"}
SELECTION = {"selection": {"verb": "get"}, "condition": "selection"}
HEAD: dict[str, Any] = {"title": "x", "logsource": {"product": "kubernetes", "service": "audit"}}
_AT = re.compile(r"\(at char (\d+)\)")


class Fault(NamedTuple):
    """What is wrong, where (see `Document.error`), and the word to point at."""

    message: str
    trail: Trail = ()
    word: str = ""


def faults(document: Document) -> list[RuleError]:
    """List what keeps a document from being used, by place; empty when nothing does."""
    data = document.data
    body = next((key for key in ("filter", "correlation", "detection") if key in data), "detection")
    found = chain(_ours(data.get("redshank")), _head(data, body), _BODY[body](data))
    errors = {fault: document.error(*fault) for fault in found}
    return sorted(errors.values(), key=lambda error: (error.line, error.column))


def _complaint(attempt: Attempt, value: Any) -> str:
    """Say what is wrong with a value; empty when nothing is."""
    try:
        attempt(value)
    except RuleError as error:
        return error.message
    except SigmaError as error:
        return str(error.args[0]) if error.args else str(error)
    except (TypeError, KeyError, AttributeError):
        return "a value of this kind cannot stand here"
    except ValueError as error:
        return str(error)
    return ""


def _blame(attempt: Attempt, value: Any, *trail: str | int) -> Iterator[Fault]:
    """Give what is wrong with a value; of a list, which of its elements are, where they are so by themselves."""
    whole = _complaint(attempt, value)
    if whole:
        elements = enumerate(value if isinstance(value, list) else ())
        alone = [Fault(said, (*trail, at)) for at, one in elements if (said := _complaint(attempt, [one]))]
        yield from alone or [Fault(whole, trail if isinstance(value, list) else (*trail, 0))]


def _in_place(make: Attempt, usual: dict[str, Any], key: str) -> Attempt:
    """Try a value in the place of another."""
    return lambda value: make({**usual, key: value})


def _ours(extras: Any) -> Iterator[Fault]:
    """Look at the keys under ``redshank:``."""
    try:
        Extras.model_validate(extras or {})
    except ValidationError as error:
        for one in error.errors():
            trail, extra = ("redshank", *one["loc"]), one["type"] == "extra_forbidden"
            said = "there is no such key" if extra else one["msg"]
            yield Fault(f"{'.'.join(map(str, trail))}: {said}", trail if extra else (*trail, 0))
    template = extras.get("message") if isinstance(extras, dict) else None
    if isinstance(template, str):
        yield from _message(template)


def _message(template: str) -> Iterator[Fault]:
    if whole := _complaint(pieces, template):
        said = {name: _complaint(pieces, f"{{{name}}}") for name in _names(template)}
        alone = [(complaint, name) for name, complaint in said.items() if complaint]
        for complaint, name in alone or [(whole, "")]:
            yield Fault(f"redshank.message: {complaint}", ("redshank", "message", 0), name)


def _names(template: str) -> Iterator[str]:
    """Give the names in braces, up to where the braces do not close."""
    with suppress(ValueError):
        yield from (name for _, name, _, _ in Formatter().parse(template) if name)


def _head(data: dict[str, Any], body: str) -> Iterator[Fault]:
    """Look at the keys that are not the body of the rule, one at a time."""
    for key in ("title", *(() if body == "correlation" else ("logsource",)), body):
        if key not in data:
            yield Fault(f"{key} is missing")
    for key, value in data.items():
        if key == "logsource":
            yield from _logsource(value)
        elif key not in BODIES:
            yield from _blame(_in_place(_rule, HEAD, key), value, str(key))


def _rule(data: dict[str, Any]) -> SigmaRule:
    return SigmaRule.from_dict({"detection": SELECTION, **data}, policy=POLICY)


def _logsource(value: Any) -> Iterator[Fault]:
    def attempt(one: Any) -> None:
        check_logsource(SigmaLogSource.from_dict(one))

    whole = _complaint(attempt, value)
    items = value.items() if isinstance(value, dict) else ()
    alone = [Fault(said, ("logsource", str(key), 0)) for key, one in items if (said := _complaint(attempt, {key: one}))]
    yield from alone or ([Fault(whole, ("logsource", 0))] if whole else [])


def _rule_body(data: dict[str, Any]) -> Iterator[Fault]:
    return _detections("detection", data.get("detection"), {"condition"})


def _filter_body(data: dict[str, Any]) -> Iterator[Fault]:
    def attempt(rules: dict[str, Any]) -> None:
        SigmaFilter.from_dict({**HEAD, "filter": {**SELECTION, **rules}}, policy=POLICY)

    body = data["filter"]
    yield from _detections("filter", body, {"condition", "rules"})
    if isinstance(body, dict):
        if "rules" in body:
            yield from _blame(lambda rules: attempt({"rules": rules}), body["rules"], "filter", "rules")
        elif said := _complaint(attempt, {}):
            yield Fault(said, ("filter",))
        if "condition" in body and not isinstance(body["condition"], str):
            yield Fault("a filter has one condition", ("filter", "condition"))


def _detections(top: str, body: Any, others: set[str]) -> Iterator[Fault]:
    """Look at each selection, then at the conditions with those that are right."""
    if not isinstance(body, dict):
        if body is not None:
            yield Fault(f"{top} must be a mapping of selections", (top, 0))
        return
    if said := _complaint(check_alias_expansion, body):
        yield Fault(said, (top,))
        return
    known: dict[str, SigmaDetection] = {}
    for name, definition in body.items():
        if not isinstance(name, str):
            yield Fault("the name of a selection is a text: put it in quotes", (top, str(name)))
        elif name not in others:
            wrong = list(_selection(definition, (top, name)))
            yield from wrong
            known[name] = SigmaDetection.from_definition("x" if wrong else definition, policy=POLICY)
    if not known:
        yield Fault(f"{top} has no selection", (top,))
    elif "condition" not in body:
        yield Fault("condition is missing", (top,))
    else:
        yield from _conditions(top, body["condition"], SigmaDetections(known, ["x"]))


def _selection(definition: Any, trail: Trail) -> Iterator[Fault]:
    """Look at what a selection asks: a mapping, a list of mappings, or keywords."""
    if definition in ({}, []):
        yield Fault("the selection is empty", trail)
    elif isinstance(definition, dict):
        for key, value in definition.items():
            yield from _item(str(key), value, (*trail, str(key)))
    elif isinstance(definition, list) and any(isinstance(one, dict | list) for one in definition):
        for at, one in enumerate(definition):
            yield from _selection(one, (*trail, at))
    else:
        yield from _blame(lambda value: ask(SigmaDetectionItem.from_value(value)), definition, *trail)


def _item(key: str, value: Any, trail: Trail) -> Iterator[Fault]:
    """Look at one ``field|modifiers: values``: the field, the modifiers, then the values, also of an unknown field."""
    field, *modifiers = key.split("|")
    unknown = _complaint(parse, field) if field else ""
    if unknown:
        yield Fault(unknown, trail)
        field = "verb"
    for one in modifiers:
        if one not in modifier_mapping:
            near = difflib.get_close_matches(one, modifier_mapping, n=1)
            yield Fault(f"unknown modifier {one!r}" + (f" (did you mean {near[0]!r}?)" if near else ""), trail, one)
    if modifier_mapping.keys() >= set(modifiers):
        name = "|".join([field, *modifiers])
        yield from _blame(lambda one: ask(SigmaDetectionItem.from_mapping(name, one, policy=POLICY)), value, *trail)


def _conditions(top: str, written: Any, detections: SigmaDetections) -> Iterator[Fault]:
    for at, text in enumerate(written if isinstance(written, list) else [written]):
        trail = (top, "condition", at)
        if not isinstance(text, str):
            yield Fault("a condition is a text", trail)
            continue
        try:
            tree = condition_tree(text, detections)
        except UNUSABLE as error:
            yield _unread(text, str(error), trail)
            continue
        for leaf in _leaves(tree):
            if said := _complaint(lambda node: part(node, detections), leaf):
                yield Fault(said, trail, getattr(leaf, "identifier", "") or getattr(leaf, "pattern", ""))


def _unread(text: str, error: str, trail: Trail) -> Fault:
    """Say from where on a condition is not understood; the parser's own words are about its grammar."""
    found = _AT.search(error)
    if found is None:
        return Fault(f"condition: {error}", trail)
    rest = text[int(found[1]) :].strip()
    return Fault(f"condition: {rest!r} is not understood" if rest else "condition: its end is missing", trail, rest)


def _leaves(node: Any) -> Iterator[Any]:
    """Give the names of selections in a condition, and what is not supported."""
    if isinstance(node, ConditionIdentifier | ConditionSelector) or not getattr(node, "args", None):
        yield node
    else:
        yield from chain.from_iterable(map(_leaves, node.args))


def _correlation_body(data: dict[str, Any]) -> Iterator[Fault]:
    """Look at the keys of a correlation, one at a time."""
    body = data["correlation"]
    if not isinstance(body, dict):
        yield Fault("correlation must be a mapping", ("correlation", 0))
        return
    usual = _usual(body.get("type"))
    for key in usual.keys() - body.keys():
        without = {name: value for name, value in usual.items() if name != key}
        if said := _complaint(_correlated, without):
            yield Fault(said, ("correlation",))
    for key, value in body.items():
        if key == "condition" and isinstance(value, dict):
            yield from _crossing(usual, value)
        else:
            yield from _blame(_in_place(_correlated, usual, key), value, "correlation", str(key))
    for name, trail in correlated_fields(body):
        if said := _complaint(parse, name):
            yield Fault(said, ("correlation", *trail))


def _usual(kind: Any) -> dict[str, Any]:
    """Give a correlation of a kind that is right."""
    usual = {"type": kind, "rules": ["x"], "timespan": "1m", "condition": {"gte": 1, "field": "actor"}}
    if str(kind).lower().startswith("temporal"):
        del usual["condition"]
    return usual if not _complaint(_correlated, usual) else {**usual, "type": "event_count"}


def _correlated(body: dict[str, Any]) -> None:
    correlation({"title": "x", "correlation": body})


def _crossing(usual: dict[str, Any], condition: dict[str, Any]) -> Iterator[Fault]:
    """Look at a correlation's condition as a whole; where one of its keys is to blame, at that."""
    if whole := _complaint(_correlated, {**usual, "condition": condition}):
        trail = ("correlation", "condition")
        rest = {key: {"gte": 1} if key == "field" else {"field": "actor"} for key in condition}
        tried = {key: {**usual, "condition": {**rest[key], key: value}} for key, value in condition.items()}
        said = {key: _complaint(_correlated, body) for key, body in tried.items()} if "condition" in usual else {}
        yield from [Fault(one, (*trail, str(key), 0)) for key, one in said.items() if one] or [Fault(whole, trail)]


_BODY = {"detection": _rule_body, "filter": _filter_body, "correlation": _correlation_body}
