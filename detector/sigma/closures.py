"""Predicates → closures: the function that answers one predicate for an event, quicker than the plain meaning.

It must agree with `detector.sigma.predicate.holds`; a property test says so. Loops stand where ``all()`` and ``any()``
could: those cost a generator per question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from detector.sigma.path import Path, leaves
from detector.sigma.predicate import (
    COMPARE,
    COMPARED,
    TESTS,
    And,
    Atom,
    Each,
    Not,
    Or,
    Predicate,
    holds,
    keyword_texts,
    texts,
)

Test = Callable[[Any, int], bool]
"""Tells whether a predicate holds of an event or a list element at a time (microseconds)."""

CHEAP = ("verb", "stage", "objectRef", "responseStatus", "outcome", "actor", "level", "key")
COST = {
    "equal": 0,
    "null": 0,
    "exists": -1,
    "startswith": 1,
    "endswith": 1,
    "contains": 2,
    "cidr": 4,
    "re": 6,
    "keyword": 99,
}
DEAR, FEW = frozenset({"re", "cidr"}), 3
"""Kinds whose answers are remembered, and the most operands of a ``contains`` whose answers are not."""
KNOWN, LONGEST = 256, 200
"""Answers remembered for one question, and the longest text, in characters, of which one is."""
EXCEPTION = 10
"""What is not to hold does not mostly, and so decides little: it is asked later."""


def cost(predicate: Predicate) -> float:
    """Guess how dear a predicate is to work out, so that the cheap part of an ``and`` goes first."""
    match predicate:
        case Atom():
            return COST.get(predicate.kind, 3) + (0 if predicate.path.root.startswith(CHEAP) else 5)
        case Each():
            return 20 + cost(predicate.body)
        case And() | Or():
            return max(map(cost, predicate.parts), default=0)
        case Not():
            return cost(predicate.part) + EXCEPTION
        case _:
            return 0


def test_of(predicate: Predicate) -> Test:
    """Compile a predicate into closures."""
    match predicate:
        case Atom():
            return _atom_test(predicate)
        case Each():
            return _element_test(predicate)
        case And():
            return all_of([test_of(part) for part in sorted(predicate.parts, key=cost)])
        case Or():
            return _any_of([_field_test(same) for same in _by_field(sorted(predicate.parts, key=cost))])
        case Not():
            inner = test_of(predicate.part)
            return lambda subject, now: not inner(subject, now)
    return lambda subject, now: holds(predicate, subject, now)


def all_of(tests: list[Test]) -> Test:
    """Give the test that all of some tests pass."""
    if len(tests) == 1:
        return tests[0]

    def test(subject: Any, now: int) -> bool:
        for each in tests:  # noqa: SIM110
            if not each(subject, now):
                return False
        return True

    return test


def _any_of(tests: list[Test]) -> Test:
    def test(subject: Any, now: int) -> bool:
        for each in tests:  # noqa: SIM110
            if each(subject, now):
                return True
        return False

    return test


def _element_test(each: Each) -> Test:
    getter, body = each.path.getter(), test_of(each.body)

    def test(subject: Any, now: int) -> bool:
        for element in getter(subject):  # noqa: SIM110
            if body(element, now):
                return True
        return False

    return test


def _by_field(parts: Iterable[Predicate]) -> Iterable[list[Predicate]]:
    """Put questions about the texts of one field together, so that it is read once; all others stay alone."""
    together: dict[Any, list[Predicate]] = {}
    for part in parts:
        if isinstance(part, Atom) and part.kind in TESTS and part.kind not in COMPARED:
            together.setdefault((part.path, part.cased), []).append(part)
        else:
            together[part] = [part]
    return together.values()


def _field_test(parts: list[Predicate]) -> Test:
    """Compile questions about the texts of one field of which one must pass, or one question of any kind."""
    atoms = [part for part in parts if isinstance(part, Atom)]
    return _text_test(atoms) if len(atoms) > 1 else test_of(parts[0])


def _atom_test(atom: Atom) -> Test:
    match atom.kind:
        case "keyword":
            operands = atom.operands
            return lambda subject, now: any(operand in item for item in keyword_texts(subject) for operand in operands)
        case "fieldref":
            return _reference_test(atom)
        case "exists":
            return _presence_test(atom.path)
        case "null":
            present = _presence_test(atom.path)
            return lambda subject, now: not present(subject, now)
        case "lt" | "lte" | "gt" | "gte":
            return _item_test(TESTS[atom.kind](atom.operands), atom.path.getter())
    return _text_test([atom])


def _presence_test(path: Path) -> Test:
    scalar = path.scalar_getter()
    if scalar is not None:
        return lambda subject, now: _present(scalar(subject))
    getter = path.getter()
    return lambda subject, now: bool(getter(subject))


def _text_test(atoms: list[Atom]) -> Test:
    """Compile questions about the texts of one field, of which one must pass."""
    operands: dict[str, tuple[Any, ...]] = {}
    for atom in atoms:
        operands[atom.kind] = operands.get(atom.kind, ()) + atom.operands
    tests = [_test(kind, together) for kind, together in operands.items()]
    passes = tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)
    path, cased = atoms[0].path, atoms[0].cased
    scalar = None if cased else path.scalar_getter()
    if scalar is None:
        return _item_test(passes, viewer(path, cased=cased))
    return _scalar_test(passes, scalar)


def _test(kind: str, operands: tuple[Any, ...]) -> Callable[[Any], bool]:
    test = TESTS[kind](operands)
    return _remembering(test) if kind in DEAR or (kind == "contains" and len(operands) > FEW) else test


def _remembering(test: Callable[[str], bool]) -> Callable[[str], bool]:
    """Remember what a test said of the texts it saw lately: user agents, names and addresses come again and again."""
    known: dict[str, bool] = {}

    def remembering(item: str) -> bool:
        said = known.get(item)
        if said is None:
            said = test(item)
            if len(item) <= LONGEST:
                if len(known) >= KNOWN:
                    known.clear()
                known[item] = said
        return said

    return remembering


def _item_test(passes: Callable[[Any], bool], view: Callable[[Any], Sequence[Any]]) -> Test:
    def test(subject: Any, now: int) -> bool:
        for item in view(subject):  # noqa: SIM110
            if passes(item):
                return True
        return False

    return test


def _scalar_test(passes: Callable[[str], bool], scalar: Callable[[Any], Any]) -> Test:
    """Compile a question about a field that is mostly one plain text."""
    others = _item_test(passes, lambda value: texts(leaves(value)))

    def test(subject: Any, now: int) -> bool:
        value = scalar(subject)
        if value.__class__ is str:
            return passes(value.lower())
        return value is not None and others(value, now)

    return test


def _present(value: Any) -> bool:
    return value is not None and (value.__class__ is not list or bool(leaves(value)))


def _reference_test(atom: Atom) -> Test:
    (other, compare), mine = atom.operands, viewer(atom.path)
    theirs, same = viewer(other), COMPARE[compare]
    return lambda subject, now: any(same(item, wanted) for wanted in theirs(subject) for item in mine(subject))


def viewer(path: Path, *, cased: bool = False) -> Callable[[Any], Sequence[str]]:
    """Give the function that reads a field as texts, lower-cased unless ``cased``."""
    getter = path.getter()
    return lambda subject: texts(getter(subject), cased=cased)
