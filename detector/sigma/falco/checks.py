"""One check of a condition → what Sigma asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from detector.errors import RuleError
from detector.sigma.falco.fields import REPOSITORY, Meaning, meaning
from detector.sigma.falco.tree import And, Asked, Check, Expression, Field, Not

OF_LISTS = frozenset({"exists", "in", "intersects"})
"""What Falco can ask of a list."""
EQUAL = frozenset({"=", "in", "intersects"})
NUMBERS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
PARTS = {"contains": "contains", "icontains": "contains", "startswith": "startswith", "endswith": "endswith"}
CASELESS = frozenset({"icontains", "iglob"})
FIELDREF = frozenset({"=", "startswith", "endswith", "contains"})
WHOLE = EQUAL | {"startswith", "exists"}
"""What can be asked of a value that is only the beginning of ours."""
AS_NUMBERS = "are compared as numbers here, as texts by Falco"
CASES: dict[str, Callable[[str], str]] = {"tolower": str.lower, "toupper": str.upper}
_INTEGER = re.compile(r"0|[1-9][0-9]{0,14}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_SPECIAL = re.compile(r"[\\*?]")
_PATTERN = re.compile(r"\\(.)|([*?])|(\\)", re.DOTALL)
_EXTENDED = re.compile(r"\[|[?*+@!]\(")


def ask(check: Check, positive: bool, notes: dict[str, None]) -> Expression:
    """Give the question; ``positive`` is whether a rule fires rather on yes. Raises RuleError with the reason.

    Where Falco looks at one value and there are several here, a rule fires at least as often: any of them counts, and
    where the rule excludes, all of them. ``notes`` takes how the question differs from Falco's.
    """
    field, operator = check.field, check.operator
    found = meaning(field)
    _refuse(found, check)
    beside = dict(found.also)
    every = (
        operator == "in" if found.kind == "list" else found.kind == "first" and not positive and operator != "exists"
    )
    if found.note:
        notes[found.note] = None
    if operator in NUMBERS:
        notes[f"{field}: {operator}: values {AS_NUMBERS}"] = None
    if operator == "exists":
        return Asked({f"{found.anywhere}|exists": True, **beside})
    modifiers, value = _values(found, _possible(found, check, notes))
    if not every:
        return Asked({"|".join((found.anywhere, *modifiers)): value, **beside})
    # All are such when there is one, and none that is not.
    exception = Asked({"|".join((found.path, *modifiers, "neq")): value, **beside})
    return And((Asked({f"{found.anywhere}|exists": True, **beside}), Not(exception)))


def _refuse(found: Meaning, check: Check) -> None:
    operator = check.operator
    if found.only and operator not in found.only:
        raise RuleError(f"{check.field} {operator}: only {', '.join(sorted(found.only))} can be asked of it here")
    if found.kind == "list" and operator not in OF_LISTS:
        raise RuleError(f"{check.field} {operator}: of a list Falco knows only {', '.join(sorted(OF_LISTS))}")
    if len(found.forms) > 1 and operator not in WHOLE:
        raise RuleError(f"{check.field} {operator}: ask the image instead, which goes on with tag or digest")
    if set(check.field.functions) - set(CASES) or (check.field.functions and operator == "regex"):
        raise RuleError(f"{check.field} {operator}: this function has no equivalent")


def _possible(found: Meaning, check: Check, notes: dict[str, None]) -> Check:
    """Leave out values that cannot be: the repository of an image has neither tag nor digest."""
    kept = tuple(word for word in check.values if found.forms != REPOSITORY or not set(word.text) & set(":@"))
    if len(kept) == len(check.values):
        return check
    if not kept:
        raise RuleError(f"{check.field} {check.operator} {check.values[0].text}: no repository has a tag or digest")
    notes[f"{check.field}: values with a tag or digest are left out, as no repository has one"] = None
    return msgspec.structs.replace(check, values=kept)


def _values(found: Meaning, check: Check) -> tuple[list[str], Any]:
    """Give Sigma's modifiers and the value, or list of values."""
    if check.other:
        return _compared(check.operator, check.other)
    texts = [word.text for word in check.values]
    for function in check.field.functions:
        if any(CASES[function](each) != each for each in texts):
            raise RuleError(f"{check.field} {check.operator} {texts[0]}: this can never hold")
    modifiers, values = _written(found, check, texts)
    minded = not (found.words or check.field.functions or check.operator in CASELESS)
    if minded and all(isinstance(value, str) for value in values) and modifiers[:1] != ["re"] and _has_case(texts):
        modifiers.append("cased")
    return modifiers, values[0] if len(values) == 1 else values


def _written(found: Meaning, check: Check, texts: list[str]) -> tuple[list[str], Sequence[Any]]:
    operator = check.operator
    if operator in EQUAL:
        natives = [_native(each) for each in texts]
        if found.forms == ("{}",) and not any(isinstance(value, str) for value in natives):
            return [], natives
        return [], [form.format(escaped(each)) for each in texts for form in found.forms]
    if operator in PARTS:
        return [PARTS[operator]], [escaped(each) for each in texts]
    if operator in NUMBERS:
        return [NUMBERS[operator]], [_number(check.field, each) for each in texts]
    if operator == "regex":
        return ["re"], [f"^(?:{each})$" for each in texts]
    if operator == "pmatch":
        return [], [each for text in texts for each in _under(check, text)]
    if operator in {"glob", "iglob"}:
        return [], [_glob(check, each) for each in texts]
    raise RuleError(f"{check.field} {operator}: this operator has no equivalent")


def _compared(operator: str, other: Field) -> tuple[list[str], str]:
    found = meaning(Field(other.name, other.argument))
    if (
        other.functions != ("val",)
        or found.kind != "one"
        or operator not in {"=", "startswith", "endswith", "contains"}
    ):
        raise RuleError(f"{operator} {other}: this comparison of two fields has no equivalent")
    return ["fieldref", *([] if operator == "=" else [operator])], found.path


def _has_case(texts: list[str]) -> bool:
    return any(each.lower() != each.upper() for each in texts)


def _native(text: str) -> Any:
    """Give a number or boolean for what looks like one: it is easier to read, and equal to its text."""
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if _INTEGER.fullmatch(text) else escaped(text)


def _number(field: Field, text: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise RuleError(f"{field}: {text!r} is no number")
    return float(text) if "." in text else int(text)


def escaped(text: str) -> str:
    """Write a text so that Sigma sees no wildcards in it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _glob(check: Check, pattern: str) -> str:
    """Write a pattern of fnmatch(3) with Sigma's wildcards."""
    if _EXTENDED.search(pattern):
        raise RuleError(f"{check.field} {check.operator} {pattern}: only * and ? can be written: ask with regex")
    return _PATTERN.sub(lambda found: found[2] or escaped(found[1] or found[3]), pattern)


def _under(check: Check, path: str) -> list[str]:
    """Write what a path and all that lies under it look like."""
    whole = _glob(check, path.rstrip("/"))
    return [*([whole] if whole else []), f"{whole}/*"]
