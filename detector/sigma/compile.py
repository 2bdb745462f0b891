"""Predicates → one program per kind of request.

What the key of a request decides (`detector.sigma.facets`) is decided once per key, so that an event meets only the
rules that can hold for it. Rules that begin with the same question share it: where the answer is no (there is no pod
spec), none of them is asked further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any

from detector.event import Event
from detector.fields import field_named
from detector.sigma.closures import Test, all_of, cost, test_of, viewer
from detector.sigma.facets import Key, asked_facets, decisive, needs, resources, specialise
from detector.sigma.index import Index, Numbered, file_rules
from detector.sigma.path import Path, parse
from detector.sigma.predicate import FALSE, And, Atom, Each, Or, Predicate, simplify

Program = Callable[[Event, int], list[int]]
"""Gives the numbers of the rules that hold for an event at a time (microseconds)."""

Parted = tuple[int, tuple[Predicate, ...]]
"""The number of a rule and the parts of it that must all hold."""

PROGRAMS = 4096
"""Compiled programs kept; more are needed only when somebody sends every kind of request there is."""


def guarded(predicate: Predicate) -> Predicate:
    """Put before a predicate the question without which it cannot hold: is there a pod spec, for fields within one.

    Rules that share that question are all answered by one no.
    """
    within = _within(predicate)
    if within is None:
        return predicate
    return simplify(And((Atom(parse(within)[0], "exists", ()), predicate)))


def _within(predicate: Predicate) -> str | None:
    """Name the field that all of a predicate lies within; None when there is none."""
    match predicate:
        case Atom() | Each() if isinstance(predicate, Each) or predicate.kind not in {"null", "keyword"}:
            field = field_named(predicate.path.root)
            return (field.within or (field.name if predicate.path.keys or field.manifold else None)) if field else None
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
        self.needs: dict[int, tuple[tuple[int, frozenset[str]], ...]] = {}
        """By the number of a rule: the facets without which it cannot hold."""
        self.asks: dict[int, tuple[int, ...]] = {}
        """By the number of a rule: the facets that decide something of it."""
        self.left: dict[tuple[int, Key], Predicate] = {}
        """What is left of a rule (number) for those facets: many keys differ in others only."""
        self.programs: dict[Key, Program | None] = {}
        self.shared: dict[tuple[Numbered, ...], Program | None] = {(): None}
        """Programs by what is left of the rules: many keys leave the same."""
        self.indexes: dict[Any, Index] = {}
        self.tests: dict[Predicate, Test] = {}
        for number, predicate in rules:
            rule = (number, decisive(guarded(simplify(predicate))))
            self.needs[number], self.asks[number] = needs(rule[1]), asked_facets(rule[1])
            places = resources(rule[1])
            if places is None:
                self.anywhere.append(rule)
            for place in places or ():
                self.at.setdefault(place, []).append(rule)

    def program(self, key: Key) -> Program | None:
        """Give the program of what is left of the rules for one key; None when none can hold."""
        if key not in self.programs:
            if len(self.programs) >= PROGRAMS:
                self.programs.clear()
                self.left.clear()
            self.programs[key] = self._program(tuple(self._left(key)))
        return self.programs[key]

    def _left(self, key: Key) -> Iterable[Numbered]:
        near = self.at.get(key[1], []) if key[1] is not None else []
        for number, predicate in near + self.anywhere:
            for facet, words in self.needs[number]:
                if key[facet] not in words:
                    break
            else:
                of_rule = (number, tuple(key[facet] for facet in self.asks[number]))
                if of_rule not in self.left:
                    self.left[of_rule] = specialise(predicate, key)
                if self.left[of_rule] != FALSE:
                    yield number, self.left[of_rule]

    def _program(self, rules: tuple[Numbered, ...]) -> Program | None:
        if rules not in self.shared:
            if len(self.shared) >= PROGRAMS:
                self.shared = {(): None}
                self.indexes.clear()
                self.tests.clear()
            self.shared[rules] = self._compile(list(rules))
        return self.shared[rules]

    def _compile(self, rules: list[Numbered]) -> Program:
        always, filed = file_rules(rules)
        asked = self._tree(in_parts(always))
        indexes = [self._index(path, cased, members) for (path, cased), members in filed.items()]
        return _indexed(asked, indexes) if indexes else asked

    def _tree(self, rules: list[Parted]) -> Program:
        """Compile rules in parts, all of which must hold: equal first parts are asked once for all their rules."""
        below: dict[Predicate, list[Parted]] = {}
        for number, parts in rules:
            below.setdefault(parts[0], []).append((number, parts))
        alone = [(self._tests(parts), number) for ((number, parts), *others) in below.values() if not others]
        together = [self._branch(members) for members in below.values() if len(members) > 1]
        return _asking(alone, together)

    def _branch(self, members: list[Parted]) -> tuple[Test, Program]:
        """Compile rules that begin with the same parts."""
        columns = takewhile(lambda column: len(set(column)) == 1, zip(*(parts for _, parts in members), strict=False))
        same = [column[0] for column in columns]
        rest = [(number, parts[len(same) :]) for number, parts in members]
        whole = [number for number, parts in rest if not parts]
        below = self._tree([(number, parts) for number, parts in rest if parts])
        return self._tests(same), (lambda event, now: whole + below(event, now)) if whole else below

    def _tests(self, parts: Iterable[Predicate]) -> Test:
        return all_of([self._test(part) for part in parts])

    def _test(self, predicate: Predicate) -> Test:
        if predicate not in self.tests:
            self.tests[predicate] = test_of(predicate)
        return self.tests[predicate]

    def _index(self, path: Path, cased: bool, members: list[tuple[Atom, Numbered]]) -> Index:
        name = (path, cased, tuple(members))
        if name not in self.indexes:
            compiled = [(atom, self._program((rule,))) for atom, rule in members]
            self.indexes[name] = Index(viewer(path, cased=cased), compiled)
        return self.indexes[name]


def in_parts(rules: list[Numbered]) -> list[Parted]:
    """Cut rules into the parts that must all hold, cheap ones first, and of those the ones that many rules share."""
    parts = [(number, rule.parts if isinstance(rule, And) else (rule,)) for number, rule in rules]
    users = Counter(part for _, each in parts for part in each)
    return [(number, tuple(sorted(each, key=lambda part: (cost(part), -users[part])))) for number, each in parts]


def _asking(alone: list[tuple[Test, int]], together: list[tuple[Test, Program]]) -> Program:
    def program(event: Event, now: int) -> list[int]:
        hits = []
        for test, number in alone:
            if test(event, now):
                hits.append(number)
        for test, below in together:
            if test(event, now):
                hits += below(event, now)
        if hits:
            hits.sort()
        return hits

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
