"""Predicates → one fast function per kind of request.

What the key of a request decides (`detector.sigma.facets`) is decided once per key, so that an event meets only the
rules that can hold for it. Equal questions are asked once per event whichever rules ask them. The generated source
contains only names made here; every value from a rule is bound, never written into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from detector.event import Event
from detector.fields import field_named
from detector.sigma.facets import Key, decisive, resources, specialise
from detector.sigma.index import Index, Numbered, file_rules
from detector.sigma.path import Path, leaves, parse
from detector.sigma.predicate import (
    COMPARE,
    FALSE,
    RAW,
    TESTS,
    And,
    Atom,
    Const,
    Each,
    Not,
    Or,
    Predicate,
    Since,
    holds,
    keyword_texts,
    simplify,
    texts,
)

Program = Callable[[Event, int], list[int]]
"""Gives the numbers of the rules that hold for an event at a time (microseconds)."""

PROGRAMS = 4096
"""Compiled programs kept; more are needed only when somebody sends every kind of request there is."""
WARM = 50
"""Events after which a program is written; most kinds of request are rarer than that."""
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


class Writer:
    """Writes the source of one program and collects what it refers to."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}
        self.bound: dict[str, Any] = {}
        self.locals: list[str] = []

    def program(self, rules: list[tuple[int, Predicate]]) -> Program:
        """Compile the rules (number and predicate) into one function."""
        body = [f"    if {self.expression(predicate)}: hits.append({number})" for number, predicate in rules]
        start = f"    {' = '.join(self.locals)} = None" if self.locals else "    pass"
        source = "\n".join(["def program(event, now):", "    hits = []", start, *body, "    return hits"])
        exec(compile(source, "<rules>", "exec"), self.bound)  # noqa: S102 (only names made here, values are bound)
        program: Program = self.bound["program"]
        return program

    def expression(self, predicate: Predicate) -> str:
        """Write a predicate as a Python expression over ``event`` and ``now``."""
        match predicate:
            case And() | Or():
                joint = " and " if isinstance(predicate, And) else " or "
                return "(" + joint.join(self.expression(part) for part in sorted(predicate.parts, key=cost)) + ")"
            case Not():
                return f"(not {self.expression(predicate.part)})"
            case Since():
                return f"(now >= {self.bind(predicate.time)})"
            case Const():
                return str(predicate.value)
            case Atom(kind="equal"):
                disjoint = self.bind(frozenset(predicate.operands).isdisjoint)
                return self.remember(predicate, f"not {disjoint}({self.field(predicate)})")
            case Atom(kind="exists" | "null") if (scalar := predicate.path.scalar_getter()) is not None:
                present = self.remember(
                    (predicate.path, "exists"), f"{self.bind(_present)}({self.bind(scalar)}(event))"
                )
                return present if predicate.kind == "exists" else f"(not {present})"
            case Atom():
                return self.remember(predicate, f"{self.bind(question(predicate))}({self.field(predicate)})")
        return self.remember(predicate, f"{self.bind(test_of(predicate))}(event, now)")

    def field(self, atom: Atom) -> str:
        """Write the expression for what an atom looks at: the values or texts of its field."""
        if atom.kind in {"keyword", "fieldref"}:
            return "event"
        mode = mode_of(atom)
        scalar = atom.path.scalar_getter() if mode == "lower" else None
        if scalar is None:
            return self.remember((atom.path, mode), f"{self.bind(viewer(atom.path, mode))}(event)")
        lower, others = f"(x := {self.bind(scalar)}(event)).__class__ is {self.bind(str)}", self.bind(_texts)
        return self.remember((atom.path, mode), f"((x.lower(),) if {lower} else () if x is None else {others}(x))")

    def remember(self, what: Any, expression: str) -> str:
        """Write an expression that is worked out at most once per event."""
        name = self.names.get(what)
        if name is None:
            name = self.names[what] = f"v{len(self.locals)}"
            self.locals.append(name)
        return f"({name} if {name} is not None else ({name} := {expression}))"

    def bind(self, value: Any) -> str:
        """Give the name under which a value is handed to the program."""
        name = f"b{len(self.bound)}"
        self.bound[name] = value
        return name


def cost(predicate: Predicate) -> float:
    """Guess how dear a predicate is to work out, so that the cheap part of an ``and`` goes first."""
    match predicate:
        case Atom():
            return COST.get(predicate.kind, 3) + (0 if predicate.path.root.startswith(CHEAP) else 5)
        case Each():
            return 20 + cost(predicate.body)
        case And() | Or():
            return sum(map(cost, predicate.parts))
        case Not():
            return cost(predicate.part)
        case _:
            return 0


def mode_of(atom: Atom) -> str:
    """Name how an atom wants to see its field: raw values, or texts, lower-cased or as they are."""
    return "raw" if atom.kind in RAW else "cased" if atom.cased else "lower"


def viewer(path: Path, mode: str) -> Callable[[Any], Sequence[Any]]:
    """Give the function that reads a field in one of those ways."""
    getter = path.getter()
    if mode == "raw":
        return getter
    cased = mode == "cased"
    return lambda subject: texts(getter(subject), cased=cased)


def _texts(value: Any) -> Sequence[str]:
    if value.__class__ is bool:
        return _BOOLEANS[value]
    return texts(leaves(value))


_BOOLEANS: dict[bool, Sequence[str]] = {True: ("true",), False: ("false",)}


def _present(value: Any) -> bool:
    return value is not None and (value.__class__ is not list or bool(leaves(value)))


def question(atom: Atom) -> Callable[[Any], bool]:
    """Give the function that answers an atom for what `Writer.field` hands it."""
    if atom.kind == "null":
        return lambda values: not values
    if atom.kind == "exists":
        return bool
    if atom.kind == "equal":
        disjoint = frozenset(atom.operands).isdisjoint
        return lambda items: not disjoint(items)
    if atom.kind == "keyword":
        return lambda event: any(operand in item for item in keyword_texts(event) for operand in atom.operands)
    if atom.kind == "fieldref":
        return _reference(atom)
    test = TESTS[atom.kind](atom.operands)

    def ask(items: list[Any]) -> bool:
        for item in items:  # noqa: SIM110 (any() costs a generator per question)
            if test(item):
                return True
        return False

    return ask


def _reference(atom: Atom) -> Callable[[Any], bool]:
    (other, compare), mine = atom.operands, viewer(atom.path, "lower")
    theirs, same = viewer(other, "lower"), COMPARE[compare]
    return lambda subject: any(same(item, wanted) for wanted in theirs(subject) for item in mine(subject))


Test = Callable[[Any, int], bool]
"""Tells whether a predicate holds of an event or a list element at a time."""


def test_of(predicate: Predicate) -> Test:
    """Compile a predicate into closures: sooner made than a program, slower to run."""
    match predicate:
        case Atom():
            return _atom_test(predicate)
        case Each():
            getter, body = predicate.path.getter(), test_of(predicate.body)
            return lambda subject, now: any(body(element, now) for element in getter(subject))
        case And():
            parts = [test_of(part) for part in sorted(predicate.parts, key=cost)]
            return lambda subject, now: all(part(subject, now) for part in parts)
        case Or():
            parts = [test_of(part) for part in sorted(predicate.parts, key=cost)]
            return lambda subject, now: any(part(subject, now) for part in parts)
        case Not():
            inner = test_of(predicate.part)
            return lambda subject, now: not inner(subject, now)
    return lambda subject, now: holds(predicate, subject, now)


def _atom_test(atom: Atom) -> Test:
    ask = question(atom)
    if atom.kind in {"keyword", "fieldref"}:
        return lambda subject, now: ask(subject)
    view = viewer(atom.path, mode_of(atom))
    return lambda subject, now: ask(view(subject))


def guarded(predicate: Predicate) -> Predicate:
    """Put before a predicate the question without which it cannot hold: is there a pod spec, for fields within one."""
    within = _within(predicate)
    if within is None:
        return predicate
    return simplify(And((Atom(parse(within)[0], "exists", ()), predicate)))


def _within(predicate: Predicate) -> str | None:
    """Name the field that all of a predicate lies within; None when there is none."""
    match predicate:
        case Atom() | Each() if isinstance(predicate, Each) or predicate.kind not in {"null", "keyword"}:
            field = field_named(predicate.path.root)
            return (field.within or (field.name if predicate.path.keys else None)) if field else None
        case And():
            return next((found for part in predicate.parts if (found := _within(part)) is not None), None)
        case Or():
            found, *others = {_within(part) for part in predicate.parts}
            return None if others else found
    return None


class Compiler:
    """Makes the program for a key from the rules (number and predicate), each piece once."""

    def __init__(self, rules: Iterable[Numbered]) -> None:
        self.anywhere: list[Numbered] = []
        self.at: dict[str, list[Numbered]] = {}
        self.programs: dict[tuple[Numbered, ...], Program | None] = {(): None}
        self.indexes: dict[Any, Index] = {}
        self.tests: dict[Predicate, Test] = {}
        for number, predicate in rules:
            rule = (number, decisive(guarded(simplify(predicate))))
            places = resources(rule[1])
            if places is None:
                self.anywhere.append(rule)
            for place in places or ():
                self.at.setdefault(place, []).append(rule)

    def program(self, key: Key) -> Program | None:
        """Give the program of what is left of the rules for one key; None when none can hold."""
        near = self.at.get(key[1], []) if key[1] is not None else []
        left = ((number, specialise(rule, key)) for number, rule in near + self.anywhere)
        return self._program(tuple(rule for rule in left if rule[1] != FALSE))

    def _program(self, rules: tuple[Numbered, ...]) -> Program | None:
        if rules not in self.programs:
            if len(self.programs) >= PROGRAMS:
                self.programs = {(): None}
                self.indexes.clear()
                self.tests.clear()
            self.programs[rules] = self._compile(list(rules))
        return self.programs[rules]

    def _compile(self, rules: list[Numbered]) -> Program:
        always, filed = file_rules(rules)
        asked = _warming([(number, self._test(rule)) for number, rule in always], lambda: Writer().program(always))
        indexes = [self._index(path, cased, members) for (path, cased), members in filed.items()]
        return _indexed(asked, indexes) if indexes else asked

    def _test(self, predicate: Predicate) -> Test:
        if predicate not in self.tests:
            self.tests[predicate] = test_of(predicate)
        return self.tests[predicate]

    def _index(self, path: Path, cased: bool, members: list[tuple[Atom, Numbered]]) -> Index:
        name = (path, cased, tuple(members))
        if name not in self.indexes:
            compiled = [(atom, self._program((rule,))) for atom, rule in members]
            self.indexes[name] = Index(viewer(path, "cased" if cased else "lower"), compiled)
        return self.indexes[name]


def _warming(tests: list[tuple[int, Test]], compile_: Callable[[], Program]) -> Program:
    """Ask by closures at first; write a program when enough events have come to repay it."""
    fast: Program | None = None
    left = WARM

    def program(event: Event, now: int) -> list[int]:
        nonlocal fast, left
        if fast is not None:
            return fast(event, now)
        left -= 1
        if not left:
            fast = compile_()
        return [number for number, test in tests if test(event, now)]

    return program


def _indexed(asked: Program, indexes: list[Index]) -> Program:
    def program(event: Event, now: int) -> list[int]:
        hits = asked(event, now)
        for index in indexes:
            for candidate in index.candidates(event):
                hits += candidate(event, now)
        if hits:
            hits.sort()
        return hits

    return program
