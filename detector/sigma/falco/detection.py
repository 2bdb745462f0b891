"""A condition → Sigma's selections and condition. Macros keep their names, so that a rule can be recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from detector.errors import RuleError
from detector.sigma.falco.checks import ask
from detector.sigma.falco.tree import And, Asked, Check, Expression, Named, Not, Or

RESERVED = frozenset({"and", "or", "not", "of", "all", "any", "them", "1", "condition", "timeframe"})
_LISTED = re.compile(r"\|(?:exists|fieldref|lte?|gte?|neq)\b")
"""Questions that are no alternatives when their values are put into one list."""


def detection(node: Expression, notes: dict[str, None]) -> dict[str, Any]:
    """Give Sigma's ``detection``. Raises RuleError with the reason where something has no equivalent."""
    writer = _Writer()
    condition = writer.write(_asked(node, True, notes))
    return {**writer.selections, "condition": condition}


def _asked(node: Expression, positive: bool, notes: dict[str, None]) -> Expression:
    """Turn every check into what Sigma asks."""
    match node:
        case Check():
            return ask(node, positive, notes)
        case And(parts):
            return And(tuple(_flat(And, [_asked(part, positive, notes) for part in parts])))
        case Or(parts):
            return Or(tuple(_flat(Or, [_asked(part, positive, notes) for part in parts])))
        case Not(part):
            return Not(_asked(part, not positive, notes))
        case Named(name, part):
            return Named(name, _asked(part, positive, notes))
    raise RuleError("a condition that is always the same has no equivalent")


def _flat(kind: type[And] | type[Or], parts: Iterable[Expression]) -> Iterable[Expression]:
    for part in parts:
        if isinstance(part, And | Or) and type(part) is kind:
            yield from part.parts
        else:
            yield part


class _Writer:
    def __init__(self) -> None:
        self.selections: dict[str, Any] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.numbers: dict[str, int] = {}

    def write(self, node: Expression, name: str = "", within: bool = False) -> str:
        """Give the condition for a node; ``within`` another, one of several parts stands in brackets."""
        if isinstance(node, Named):
            return self.write(node.part, name or node.name, within)
        selection = _selection(node)
        if selection is not None:
            return self._add(selection, name)
        if isinstance(node, Not):
            return f"not {self.write(node.part, name, within=True)}"
        if not isinstance(node, And | Or):
            raise RuleError("a condition that is always the same has no equivalent")
        words = [self.write(part, name, within=True) for part in _gathered(node)]
        joined = (" and " if isinstance(node, And) else " or ").join(words)
        return f"({joined})" if within else joined

    def _add(self, selection: Any, name: str) -> str:
        """Keep a selection, and give its name; the same one twice is kept once."""
        base = name or _name(selection)
        known = self.names.get((base, repr(selection)))
        if known:
            return known
        chosen = f"{base}_" if base.lower() in RESERVED else base
        while chosen in self.selections:
            self.numbers[base] = self.numbers.get(base, 1) + 1
            chosen = f"{base}_{self.numbers[base]}"
        self.selections[chosen] = selection
        self.names[base, repr(selection)] = chosen
        return chosen


def _name(selection: Any) -> str:
    """Name a selection after the field that it asks alone."""
    if not isinstance(selection, dict):
        return "alternatives"
    if len(selection) > 1:
        return "selection"
    ((key, value),) = selection.items()
    path, *modifiers = key.split("|")
    last = re.sub(r"\W+", "_", path.removesuffix("[]").rpartition(".")[2].rpartition("/")[2], flags=re.ASCII).strip("_")
    before = "no_" if value is None else "any_" if "exists" in modifiers else "other_" if "neq" in modifiers else ""
    return f"{before}{last}" if last[:1].isalpha() else "selection"


def _gathered(node: And | Or) -> list[Expression]:
    """Put what fits into one selection together, in the place of the first of it; macros stay apart."""
    together: list[Expression] = []
    for part in node.parts:
        if isinstance(part, Named) or _selection(type(node)((*together, part))) is None:
            continue
        together.append(part)
    if len(together) < 2:  # noqa: PLR2004
        return list(node.parts)
    first = type(node)(tuple(together))
    rest = [part for part in node.parts if not any(part is each for each in together)]
    return [first, *rest] if together[0] is node.parts[0] else [*rest, first]


def _selection(node: Expression) -> Any:
    """Give a node as one selection: a mapping (all of it), or a list of them (any); None when it cannot be one."""
    mapping = _mapping(node)
    if mapping is not None:
        return mapping
    if not isinstance(node, Or):
        return None
    found = [_mapping(part) for part in node.parts]
    alternatives = [each for each in found if each is not None]
    return None if len(alternatives) < len(found) else _joined(alternatives)


def _mapping(node: Expression) -> dict[str, Any] | None:
    match node:
        case Asked(items):
            return items
        case Not(Asked(items)):
            return _negated(items)
        case And(parts):
            return _merged([_mapping(part) for part in parts])
    return None


def _negated(items: dict[str, Any]) -> dict[str, Any] | None:
    """Give what holds where one question does not; of an element of a list this cannot be said."""
    if len(items) != 1:
        return None
    ((key, value),) = items.items()
    if "[]" in key or key.endswith("|neq"):
        return None
    if key.endswith("|exists"):
        return {key.removesuffix("|exists"): None}
    return {f"{key}|neq": value}


def _merged(mappings: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Join mappings that all must hold, if no field stands twice and no two speak of one element of a list."""
    merged: dict[str, Any] = {}
    for each in mappings:
        if each is None or any(key in merged for key in each):
            return None
        merged |= each
    lists = sum(any("[]" in key for key in each) for each in mappings if each)
    return None if lists > 1 else merged


def _joined(alternatives: list[dict[str, Any]]) -> Any:
    """Write alternatives as a list of values where they differ in nothing else."""
    keys = {key for each in alternatives for key in each}
    if len(keys) == 1 and all(len(each) == 1 for each in alternatives) and not _LISTED.search(min(keys)):
        values = [value for each in alternatives for value in each.values()]
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return {min(keys): list({repr(item): item for item in flat}.values())}
    return alternatives
