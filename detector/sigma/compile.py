"""Predicates → one fast function per kind of request.

What rules demand of verb, resource and subresource is decided once per such key, so that an event meets only the rules
that can hold for it. Equal questions are asked once per event whichever rules ask them. Verbs and resources that no
rule names are all one key, so that a client cannot cause compilations by inventing some. The generated source contains
only names made here; every value from a rule is bound, never written into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from detector.event import Event
from detector.sigma.index import Index, Numbered, file_rules
from detector.sigma.path import Path, parse
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
    atoms,
    holds,
    keyword_texts,
    simplify,
    texts,
)

Program = Callable[[Event, int], list[int]]
"""Gives the numbers of the rules that hold for an event at a time (microseconds)."""

OTHER = "\0other"
"""Stands for every verb, resource or subresource that no rule names."""

(VERB,), (RESOURCE,), (SUBRESOURCE,), (KEY,) = (
    parse(name) for name in ("verb", "objectRef.resource", "objectRef.subresource", "key")
)
CHEAP = ("verb", "stage", "objectRef", "responseStatus", "outcome", "actor", "level", "key")
COST = {
    "equal": 0,
    "null": 0,
    "exists": 0,
    "startswith": 1,
    "endswith": 1,
    "contains": 2,
    "cidr": 4,
    "re": 6,
    "keyword": 99,
}


Key = tuple[str | None, str | None, str | None]
"""Verb, resource and subresource of a request as far as rules name them: lower case, ``OTHER``, or None for none."""


STRANGERS = 4096
"""So many other words are remembered, to look them up faster."""


class Words(dict[str | None, str | None]):
    """The words of one kind that rules name: looks up a word as it comes, gives it lower-cased, or `OTHER`."""

    def __missing__(self, word: str) -> str | None:
        known = self.get(word.lower(), OTHER)
        if len(self) < STRANGERS:
            self[word] = known
        return known


class Vocabulary:
    """The verbs, resources and subresources that rules name."""

    def __init__(self, predicates: Iterable[Predicate]) -> None:
        self.verbs, self.resources, self.subresources = (Words({None: None}) for _ in range(3))
        for predicate in predicates:
            for atom in atoms(predicate):
                self._learn(atom)

    def _learn(self, atom: Atom) -> None:
        words = {VERB: self.verbs, RESOURCE: self.resources, SUBRESOURCE: self.subresources}
        operands = {str(operand).lower() for operand in atom.operands} if atom.kind == "equal" else set()
        if atom.path in words:
            words[atom.path].update((word, word) for word in operands)
        elif atom.path == KEY:
            for operand in operands:
                resource, _, subresource = operand.partition("/")
                self.resources[resource] = resource
                self.subresources[subresource] = subresource

    def key(self, event: Event) -> Key:
        """Give the key of an event."""
        ref = event.objectRef
        if ref is None:
            return self.verbs[event.verb], None, None
        return self.verbs[event.verb], self.resources[ref.resource], self.subresources[ref.subresource]


def specialise(predicate: Predicate, key: Key) -> Predicate:
    """Answer what the key alone decides; gives a simplified predicate."""
    return simplify(_specialise(predicate, key))


def _specialise(predicate: Predicate, key: Key) -> Predicate:
    if isinstance(predicate, Atom):
        return _decide(predicate, key)
    if isinstance(predicate, And | Or):
        return type(predicate)(tuple(_specialise(part, key) for part in predicate.parts))
    if isinstance(predicate, Not):
        return Not(_specialise(predicate.part, key))
    if isinstance(predicate, Each | Since | Const):
        return predicate
    return _specialise(predicate.part, key)


def _decide(atom: Atom, key: Key) -> Predicate:
    if atom.path not in (VERB, RESOURCE, SUBRESOURCE, KEY) or atom.cased or atom.kind in {"fieldref", "keyword"}:
        return atom
    value = _value(atom.path, key)
    if value is None:
        return Const(atom.kind == "null")
    if OTHER in value:
        return FALSE if atom.kind == "equal" else atom
    if atom.kind in {"null", "exists"}:
        return Const(atom.kind == "exists")
    return Const(atom.kind in TESTS and atom.kind not in RAW and TESTS[atom.kind](atom.operands)(value))


def _value(path: Path, key: Key) -> str | None:
    verb, resource, subresource = key
    if path != KEY:
        return {VERB: verb, RESOURCE: resource, SUBRESOURCE: subresource}[path]
    return f"{resource}/{subresource}" if resource and subresource else resource or None


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
            case Atom():
                return self.remember(predicate, f"{self.bind(question(predicate))}({self.field(predicate)})")
        return self.remember(predicate, f"{self.bind(subject_test(predicate))}(event)")

    def field(self, atom: Atom) -> str:
        """Write the expression for what an atom looks at: the values or texts of its field."""
        if atom.kind in {"keyword", "fieldref"}:
            return "event"
        mode = "raw" if atom.kind in RAW else "cased" if atom.cased else "lower"
        getter = self.bind(viewer(atom.path, mode))
        return self.remember((atom.path, mode), f"{getter}(event)")

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


def viewer(path: Path, mode: str) -> Callable[[Any], Sequence[Any]]:
    """Give the function that reads a field the way a kind of atom wants it."""
    getter = path.getter()
    if mode == "raw":
        return getter
    if mode == "cased":
        return lambda subject: texts(getter(subject), cased=True)
    scalar = path.scalar_getter()
    if scalar is None:
        return lambda subject: texts(getter(subject))

    def lower(subject: Any) -> Sequence[str]:
        value = scalar(subject)
        if type(value) is str:
            return (value.lower(),)
        return () if value is None else texts(getter(subject))

    return lower


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


def subject_test(predicate: Predicate) -> Callable[[Any], bool]:
    """Compile a predicate about an event or a list element into a closure."""
    match predicate:
        case Atom():
            ask = question(predicate)
            if predicate.kind in {"keyword", "fieldref"}:
                return ask
            view = viewer(predicate.path, "raw" if predicate.kind in RAW else "cased" if predicate.cased else "lower")
            return lambda subject: ask(view(subject))
        case Each():
            getter, body = predicate.path.getter(), subject_test(predicate.body)
            return lambda subject: any(map(body, getter(subject)))
        case And():
            parts = [subject_test(part) for part in sorted(predicate.parts, key=cost)]
            return lambda subject: all(part(subject) for part in parts)
        case Or():
            parts = [subject_test(part) for part in sorted(predicate.parts, key=cost)]
            return lambda subject: any(part(subject) for part in parts)
        case Not():
            inner = subject_test(predicate.part)
            return lambda subject: not inner(subject)
    return lambda subject: holds(predicate, subject)


def resources(predicate: Predicate) -> frozenset[str] | None:
    """Give the resources (lower case) a simplified predicate can hold for; None when that cannot be said."""
    match predicate:
        case Atom(kind="equal", cased=False) if predicate.path == RESOURCE:
            return frozenset(predicate.operands)
        case Atom(kind="equal", cased=False) if predicate.path == KEY:
            return frozenset(operand.partition("/")[0] for operand in predicate.operands)
        case And():
            return next((found for part in predicate.parts if (found := resources(part)) is not None), None)
        case Or():
            each = [resources(part) for part in predicate.parts]
            return None if None in each else frozenset().union(*(found for found in each if found is not None))
    return None


class Compiler:
    """Makes the program for a key from the rules (number and predicate), each piece once."""

    def __init__(self, rules: Iterable[Numbered]) -> None:
        self.anywhere: list[Numbered] = []
        self.at: dict[str, list[Numbered]] = {}
        self.single: dict[Numbered, Program] = {}
        self.indexes: dict[Any, Index] = {}
        for number, predicate in rules:
            rule = (number, simplify(predicate))
            for place in resources(rule[1]) or ():
                self.at.setdefault(place, []).append(rule)
            if resources(rule[1]) is None:
                self.anywhere.append(rule)

    def program(self, key: Key) -> Program | None:
        """Compile what is left of the rules for one key; None when none can hold."""
        near = self.at.get(key[1], []) if key[1] is not None else []
        left = [(number, rest) for number, rule in near + self.anywhere if (rest := specialise(rule, key)) != FALSE]
        if not left:
            return None
        always, filed = file_rules(left)
        asked = Writer().program(always)
        indexes = [self._index(path, cased, members) for (path, cased), members in filed.items()]
        return _indexed(asked, indexes) if indexes else asked

    def _index(self, path: Path, cased: bool, members: list[tuple[Atom, Numbered]]) -> Index:
        name = (path, cased, tuple(members))
        if name not in self.indexes:
            compiled = [(atom, self._single(rule)) for atom, rule in members]
            self.indexes[name] = Index(viewer(path, "cased" if cased else "lower"), compiled)
        return self.indexes[name]

    def _single(self, rule: Numbered) -> Program:
        if rule not in self.single:
            self.single[rule] = Writer().program([rule])
        return self.single[rule]


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
