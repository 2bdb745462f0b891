"""pySigma's parsed rules → predicates. What is not supported is an error that says so, never ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from detector.errors import RuleError
from detector.sigma import path as paths
from detector.sigma.path import Path
from detector.sigma.predicate import And, Atom, Each, Named, Not, Or, Predicate, regex, text

ANYWHERE = Path("(keyword)", "", ())
MAX_REGEX = 1000
SHOWN = 100
"""Characters of a wrong pattern that are shown."""
COMPARISONS = {
    CompareOperators.LT: "lt",
    CompareOperators.LTE: "lte",
    CompareOperators.GT: "gt",
    CompareOperators.GTE: "gte",
}


class _Engine(RegexEngine):
    """Compiles for pySigma, whose own engine lets RE2 print its complaints on stderr. Raises RuleError."""

    error = re.error  # what pySigma would put into words of its own; it is never raised

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        """Compile on RE2 with flags of `re`."""
        letters = "".join(letter for flag, letter in FLAGS.items() if flags & flag)
        if len(pattern) > MAX_REGEX:
            raise RuleError(f"the regular expression is longer than {MAX_REGEX} characters")
        made: RegexPattern = regex(_compilable((f"(?{letters})" if letters else "") + pattern))
        return made


FLAGS = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}
POLICY = SigmaPolicy(regex_engine=_Engine())
"""With this rules are to be parsed."""
MEANT = {
    ("responseStatus.code", "allow"): ("outcome", "allowed"),
    ("responseStatus.code", "deny"): ("outcome", "denied"),
}
"""Values that published rules ask of the wrong field, and what they mean here."""


def translate(detections: SigmaDetections) -> Predicate:
    """Turn a rule's (or filter's) detections and condition into a predicate; several conditions are alternatives."""
    conditions = [part(condition_tree(text, detections), detections) for text in detections.condition]
    return conditions[0] if len(conditions) == 1 else Or(tuple(conditions))


def condition_tree(text: str, detections: SigmaDetections) -> Any:
    """Parse a condition as pySigma does. Raises SigmaError."""
    return SigmaCondition(text, detections).parse(postprocess=False)


def part(node: Any, detections: SigmaDetections) -> Predicate:
    """Translate a node of a parsed condition. Raises RuleError."""
    match node:
        case ConditionIdentifier():
            return _selection(node.identifier, detections)
        case ConditionSelector():
            return _selector(node, detections)
        case ConditionNOT():
            return Not(part(node.args[0], detections))
        case ConditionAND():
            return And(tuple(part(arg, detections) for arg in node.args))
        case ConditionOR():
            return Or(tuple(part(arg, detections) for arg in node.args))
    raise RuleError(f"condition: {type(node).__name__} is not supported")


def _selector(node: ConditionSelector, detections: SigmaDetections) -> Predicate:
    found = node.resolve_referenced_detections(detections)
    if not found:
        raise RuleError(f"condition: no selection is named like {node.pattern!r}")
    parts = tuple(_selection(one.identifier, detections) for one in found)
    return And(parts) if node.cond_class is ConditionAND else Or(parts)


def _selection(name: str, detections: SigmaDetections) -> Predicate:
    try:
        detection = detections[name]
    except KeyError:
        raise RuleError(f"condition: there is no selection {name!r}") from None
    return Named(name, _detection(detection))


def _detection(detection: SigmaDetection) -> Predicate:
    items = detection.detection_items
    if detection.item_linking is ConditionOR or (detection.item_linking is None and _is_alternatives(items)):
        return _join(Or, [_one(item) for item in items])
    located: list[tuple[tuple[Path, ...], Predicate]] = []
    for item in items:
        if isinstance(item, SigmaDetectionItem):
            located.append(ask(item))
        else:
            located.append(((), _detection(item)))
    return _join(And, list(_group(located)))


def _is_alternatives(items: Iterable[Any]) -> bool:
    return any(isinstance(item, SigmaDetection) for item in items)


def _one(item: SigmaDetection | SigmaDetectionItem) -> Predicate:
    if isinstance(item, SigmaDetection):
        return _detection(item)
    return next(iter(_group([ask(item)])))


def _group(located: list[tuple[tuple[Path, ...], Predicate]]) -> Iterable[Predicate]:
    """Join what speaks of elements of the same list (same ``x[]`` prefix) into one `Each`."""
    lists: dict[Path, list[tuple[tuple[Path, ...], Predicate]]] = {}
    for prefix, predicate in located:
        if prefix:
            lists.setdefault(prefix[0], []).append((prefix[1:], predicate))
        else:
            yield predicate
    for path, members in lists.items():
        yield Each(path, _join(And, list(_group(members))))


def _join(kind: type[And] | type[Or], parts: list[Predicate]) -> Predicate:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def ask(item: SigmaDetectionItem) -> tuple[tuple[Path, ...], Predicate]:
    """Translate one ``field|modifiers: values``; gives the lists it goes through and the question about an element.

    Raises RuleError for fields that are unknown and values that are not supported.
    """
    path, prefix = (ANYWHERE, ()) if item.field is None else _path(item.field)
    questions = [_value(path, value) for value in item.value] or [Atom(path, "null", ())]
    every = item.value_linking is ConditionAND
    predicate = _join(And, questions) if every else _join(Or, _merge(questions))
    return prefix, Not(predicate) if getattr(item, "negated", False) else predicate


def _path(name: str) -> tuple[Path, tuple[Path, ...]]:
    try:
        *prefix, path = paths.parse(name)
    except ValueError as error:
        raise RuleError(str(error)) from None
    return path, tuple(prefix)


def _merge(questions: list[Predicate]) -> list[Predicate]:
    """Ask alternatives of one kind at once: ``a`` or ``b`` becomes one question with two operands."""
    merged: dict[Any, list[Atom]] = {}
    others: list[Predicate] = []
    for question in questions:
        if not isinstance(question, Atom) or question.kind in {"null", "exists", "fieldref", "lt", "lte", "gt", "gte"}:
            others.append(question)
        else:
            merged.setdefault((question.path, question.kind, question.cased), []).append(question)
    return [*map(_at_once, merged.values()), *others]


def _at_once(same: list[Atom]) -> Atom:
    """Join questions that differ in their operands only."""
    operands = tuple(dict.fromkeys(operand for each in same for operand in each.operands))
    return Atom(same[0].path, same[0].kind, operands, same[0].cased, " | ".join(each.wanted for each in same))


def _value(path: Path, value: SigmaType) -> Predicate:
    if path is ANYWHERE:
        return _keyword(value)
    if isinstance(value, SigmaExpansion):
        return _join(Or, _merge([_value(path, one) for one in value.values]))
    for kind, make in _VALUES:
        if isinstance(value, kind):
            return make(path, value)
    raise RuleError(f"values of type {type(value).__name__} are not supported")


def _null(path: Path, value: SigmaNull) -> Predicate:
    return Atom(path, "null", (), wanted="null")


def _exists(path: Path, value: SigmaExists) -> Predicate:
    exists = Atom(path, "exists", (), wanted="exists")
    return exists if value.exists else Not(exists)


def _timestamp(path: Path, value: SigmaTimestampPart) -> Predicate:
    raise RuleError("modifiers minute, hour, day, week, month and year are not supported")


def _plain(path: Path, value: SigmaNumber | SigmaBool) -> Predicate:
    as_text = text(value.number if isinstance(value, SigmaNumber) else value.boolean) or ""
    return Atom(path, "equal", (as_text,), wanted=as_text)


def _search(path: Path, value: SigmaRegularExpression) -> Predicate:
    return Atom(path, "re", (_regex(value),), cased=True, wanted=f"re: {value.regexp}")


def _network(path: Path, value: SigmaCIDRExpression) -> Predicate:
    return Atom(path, "cidr", (str(value.network),), wanted=f"in {value.network}")


def _keyword(value: SigmaType) -> Atom:
    plain = text(getattr(value, "number", None)) or (str(value) if isinstance(value, SigmaString) else None)
    if plain is None or (isinstance(value, SigmaString) and value.contains_special()):
        plain = plain.strip("*") if plain and "*" not in plain.strip("*") and "?" not in plain else None
    if not plain:
        raise RuleError("keywords can be plain texts and numbers only")
    return Atom(ANYWHERE, "keyword", (plain.lower(),), wanted=plain)


def _string(path: Path, value: SigmaString) -> Predicate:
    if value.contains_placeholder():
        raise RuleError("placeholders (modifier expand, %name%) are not supported")
    cased = isinstance(value, SigmaCasedString)
    parts = [part if cased or not isinstance(part, str) else part.lower() for part in value.s]
    meant = MEANT.get((path.name, "".join(part for part in parts if isinstance(part, str))))
    if meant:
        return Atom(_path(meant[0])[0], "equal", (meant[1],), wanted=meant[1])
    kind, operand = _shape(parts)
    if kind == "any":
        return Atom(path, "exists", (), wanted="*")
    if kind == "re" and not cased:
        operand = f"(?i){operand}"
    return Atom(path, kind, (operand,), cased or kind == "re", wanted=str(value))


def _shape(parts: list[Any]) -> tuple[str, str]:
    """Name the cheapest test that means the same as a string with wildcards."""
    many = SpecialChars.WILDCARD_MULTI
    plain = [part for part in parts if isinstance(part, str)]
    if not parts or len(plain) == len(parts):
        return "equal", "".join(plain)
    shapes = {(many,): "any", (str, many): "startswith", (many, str): "endswith", (many, str, many): "contains"}
    shape = tuple(str if isinstance(part, str) else part for part in parts)
    if shape in shapes:
        return shapes[shape], "".join(plain)
    return "re", _compilable("(?s)^" + "".join(_regex_of(part) for part in parts) + "$")


def _regex_of(part: Any) -> str:
    if isinstance(part, str):
        return re.escape(part)
    return ".*" if part is SpecialChars.WILDCARD_MULTI else "."


def _regex(value: SigmaRegularExpression) -> str:
    letters = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return (f"(?{letters})" if letters else "") + str(value.regexp.original)


def _compilable(pattern: str) -> str:
    """Give a pattern back that RE2 can use. Raises RuleError."""
    try:
        regex(pattern)
    except ValueError as error:
        raise RuleError(
            f"regular expression {_cut(pattern)!r}: {error} (RE2 syntax: no look-around, no back-references)"
        ) from None
    return pattern


def _cut(pattern: str) -> str:
    return pattern if len(pattern) <= SHOWN else pattern[: SHOWN - 1] + "…"


def _comparison(path: Path, value: SigmaCompareExpression) -> Predicate:
    number = value.number.number
    if value.op is CompareOperators.NEQ:
        return Not(Atom(path, "equal", (text(number),), wanted=str(number)))
    return Atom(path, COMPARISONS[value.op], (number,), wanted=f"{COMPARISONS[value.op]} {number}")


def _reference(path: Path, value: SigmaFieldReference) -> Atom:
    other, prefix = _path(value.field)
    if prefix:
        raise RuleError("a field reference cannot point into a list with []")
    kinds = {(False, False): "equal", (True, False): "startswith", (False, True): "endswith", (True, True): "contains"}
    compare = kinds[value.starts_with, value.ends_with]
    return Atom(path, "fieldref", (other, compare), wanted=f"{compare} {value.field}")


_VALUES: tuple[tuple[type | tuple[type, ...], Callable[[Path, Any], Predicate]], ...] = (
    (SigmaNull, _null),
    (SigmaExists, _exists),
    (SigmaString, _string),
    (SigmaTimestampPart, _timestamp),
    ((SigmaNumber, SigmaBool), _plain),
    (SigmaRegularExpression, _search),
    (SigmaCIDRExpression, _network),
    (SigmaCompareExpression, _comparison),
    (SigmaFieldReference, _reference),
)
"""How each of pySigma's value types is asked; the first that fits counts."""
