"""Lists, macros and exceptions put where a condition names them, and what is known beforehand taken out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from detector.errors import RuleError
from detector.sigma.falco.grammar import LIST_OPERATORS, parse, unquote
from detector.sigma.falco.reader import Definition, Ruleset
from detector.sigma.falco.tree import And, Check, Const, Expression, Field, Macro, Named, Not, Or, Word

MOST = 10_000
"""Checks of one rule, and values of one check: macros and lists of macros and lists can mean very many."""
DEEPEST = 60
CLOCKS = frozenset({"jevt.rawtime", "jevt.time", "jevt.time.iso8601", "evt.num", "evt.time", "evt.rawtime"})
"""What every event has: ``jevt.rawtime exists`` is how Falco's files say always, ``jevt.rawtime=0`` never."""
_ALWAYS = frozenset({("exists", ()), (">", ("0",)), (">=", ("0",)), ("!=", ("0",))})
_NEVER = frozenset({("=", ("0",)), ("<", ("0",)), ("<=", ("0",))})


def resolve(rules: Ruleset, rule: Definition) -> Expression:
    """Give the condition of a rule, with its exceptions, without lists and macros. Raises RuleError."""
    exceptions = dict(_exceptions(rules, rule))
    # Falco writes exceptions behind the text of the condition, where they bind to the last alternative only.
    text = rule.condition + "".join(f" and not {name}" for name in exceptions)
    return simplify(_Resolver(rules, exceptions).expand(parse(text), ()))


class _Resolver:
    """Puts in what names stand for; counts, so that a small file cannot mean too much."""

    def __init__(self, rules: Ruleset, exceptions: dict[str, Expression]) -> None:
        self.rules, self.exceptions, self.left = rules, exceptions, MOST

    def expand(self, node: Expression, inside: tuple[str, ...], depth: int = 0) -> Expression:
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise RuleError("its macros and lists mean more than can be written in one rule")
        match node:
            case And(parts):
                return And(tuple(self.expand(part, inside, depth + 1) for part in parts))
            case Or(parts):
                return Or(tuple(self.expand(part, inside, depth + 1) for part in parts))
            case Not(part):
                return Not(self.expand(part, inside, depth + 1))
            case Macro(name):
                return self._macro(name, inside, depth + 1)
            case Check():
                return self._check(node)
        return node

    def _macro(self, name: str, inside: tuple[str, ...], depth: int) -> Expression:
        if name in self.exceptions:
            return Named(name, self.expand(self.exceptions[name], inside, depth))
        macro = self.rules.macros.get(name)
        if macro is None:
            raise RuleError(f"there is no macro {name!r}")
        if name in inside:
            raise RuleError(f"macro {name!r} is part of itself")
        try:
            return Named(name, self.expand(parse(macro.condition), (*inside, name), depth))
        except RuleError as error:
            raise error if error.path else macro.place.error(f"macro {name!r}: {error.message}", "condition") from None

    def _check(self, check: Check) -> Expression:
        values = tuple(self._words(check.values, ()))
        if check.field.name in CLOCKS:
            return _timed(check, values)
        if check.operator in LIST_OPERATORS:
            return Check(check.field, check.operator, tuple(dict.fromkeys(values))) if values else Const(False)
        if check.values and len(values) != 1:
            raise RuleError(f"{check.field} {check.operator} {check.values[0].text}: a list of {len(values)}, not one")
        found = Check(check.field, "=" if check.operator == "!=" else check.operator, values, check.other)
        # Falco's != is false where there is no value.
        return And((Check(check.field, "exists"), Not(found))) if check.operator == "!=" else found

    def _words(self, words: Iterable[Word], inside: tuple[str, ...]) -> Iterator[Word]:
        """Give words, and for the names of lists what these hold."""
        for word in words:
            self.left -= 1
            if self.left < 0:
                raise RuleError("its lists hold more values than can be written in one rule")
            known = None if word.quoted or word.text in inside else self.rules.lists.get(word.text)
            if known is None:
                yield word
            else:
                yield from self._words(map(unquote, known.keys["items"]), (*inside, word.text))


def _timed(check: Check, values: tuple[Word, ...]) -> Const:
    asked = (check.operator, tuple(word.text for word in values))
    if asked not in _ALWAYS | _NEVER:
        raise RuleError(f"{check.field} {check.operator}: the time or number of an event is nothing to ask")
    return Const(asked in _ALWAYS)


def _exceptions(rules: Ruleset, rule: Definition) -> Iterator[tuple[str, Expression]]:
    """Give what each exception exempts, under a name that no macro has; those without values exempt nothing."""
    taken = set(rules.macros)
    for one in rule.keys.get("exceptions") or []:
        if not isinstance(one, dict) or not one.get("name"):
            raise rule.place.error("an exception needs a name, fields and values", "exceptions")
        name = "except_" + re.sub(r"\W+", "_", str(one["name"]), flags=re.ASCII)
        while name in taken:
            name += "_"
        taken.add(name)
        try:
            exempted = _exempted(one)
        except RuleError as error:
            message = f"exception {one['name']!r}: {error.message}"
            raise rule.place.error(message, "exceptions", str(one["name"])) from None
        if exempted is not None:
            yield name, exempted


def _exempted(one: dict[str, Any]) -> Expression | None:
    fields, comps, values = (one.get(key) for key in ("fields", "comps", "values"))
    if not isinstance(values or [], list):
        raise RuleError("values must be a list")
    if isinstance(fields, str):
        words = tuple(map(unquote, _texts(values or [])))
        return Check(_field(fields), _comparison(comps or "in", LIST_OPERATORS), words) if words else None
    names = _texts(fields)
    operators = _texts(comps or ["="] * len(names))
    rows = tuple(_row(names, operators, row) for row in values or [])
    return Or(rows) if len(rows) > 1 else rows[0] if rows else None


def _row(names: list[str], operators: list[str], row: Any) -> Expression:
    if not isinstance(row, list) or not len(names) == len(operators) == len(row) > 0:
        raise RuleError("fields, comps and each row of values must be equally long")
    checks = tuple(map(_compared, names, operators, row))
    return checks[0] if len(checks) == 1 else And(checks)


def _compared(name: str, operator: str, value: Any) -> Check:
    many = _texts(value if isinstance(value, list) else [value])
    if operator in LIST_OPERATORS and not isinstance(value, list):
        # "(a, b)" in one text is a list, too.
        many = [each.strip() for each in many[0].strip("() ").split(",")]
    return Check(_field(name), _comparison(operator), tuple(map(unquote, many)))


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RuleError("fields, comps and values must be texts or lists of texts")
    return values


def _field(text: str) -> Field:
    try:
        check = parse(f"{text} exists")
    except RuleError:
        check = None
    if not isinstance(check, Check):
        raise RuleError(f"{text!r} is no field")
    return check.field


def _comparison(operator: Any, allowed: frozenset[str] | None = None) -> str:
    if allowed is not None and operator not in allowed:
        raise RuleError(f"of one field, comps can be {', '.join(sorted(allowed))}")
    return "=" if operator == "==" else str(operator)


def simplify(node: Expression) -> Expression:
    """Fold away what is known beforehand; a constant that is left says which names made it one."""
    match node:
        case And(parts) | Or(parts):
            return _fewer(type(node), [simplify(part) for part in parts])
        case Not(part):
            inner = simplify(part)
            return Const(not inner.value, inner.because) if isinstance(inner, Const) else Not(inner)
        case Named(name, part):
            inner = simplify(part)
            return Const(inner.value, (name, *inner.because)) if isinstance(inner, Const) else Named(name, inner)
    return node


def _fewer(kind: type[And] | type[Or], parts: list[Expression]) -> Expression:
    deciding = kind is Or
    known = [part for part in parts if isinstance(part, Const)]
    open_ = [part for part in parts if not isinstance(part, Const)]
    for part in known:
        if part.value is deciding:
            return part
    if not open_:
        return Const(not deciding, known[0].because if known else ())
    return open_[0] if len(open_) == 1 else kind(tuple(open_))
