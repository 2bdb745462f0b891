"""Facets: a few small properties of every request that decide most rules before an event is looked at.

Verb, resource, subresource, outcome, answer code, impersonation, what the actor and its program are, and whether the
client claims addresses, are the key of a request. Words that no rule names are all one word, `OTHER`, so that a client
cannot cause compilations by inventing some.
`specialise` answers what the key alone decides of a rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detector.event import Event
from detector.fields import all_fields
from detector.fields.actor import AGENT, program
from detector.fields.request import DECISION, FORBID
from detector.sigma.path import Path, parse
from detector.sigma.predicate import (
    COMPARED,
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
    simplify,
    text,
)

OTHER = "\0other"
"""Stands for every word of a facet that no rule names."""
RECEIVED = "RequestReceived"
ACTORS = 16_384
"""So many users are remembered with what they are."""
LONGEST = 256
"""Longer names and words are not remembered: clients choose some of them."""

NAMES = (
    "verb",
    "objectRef.resource",
    "objectRef.subresource",
    "outcome",
    "responseStatus.code",
    "impersonation",
    "actor.kind",
    "actor.namespace",
    "actor.builtin",
    "agent.family",
    "source.claimed",
)
FACETS = {parse(name)[0]: number for number, name in enumerate(NAMES)}
(RESOURCE,), (KEY,) = parse("objectRef.resource"), parse("key")
_RESOURCE, _SUBRESOURCE, _ACTOR, _AGENT = 1, 2, 6, 9
_OF_KEY = (_RESOURCE, _SUBRESOURCE)
_FIELDS = tuple(path.getter() for path in FACETS)
_impersonation = all_fields()["impersonation"].compute
MANIFOLD = frozenset({parse("source.claimed")[0]})
"""Of these facets, which have several values, only whether there is one is known."""
_WORDS = FACETS.keys() - MANIFOLD

Key = tuple[str | None, ...]
"""The facets of a request in the order of `NAMES`: lower case, `OTHER`, or None where it has none."""

Traits = tuple[Any, ...]
"""What the key of a request follows from as it stands in the record, and whether the request is only received yet."""


class Vocabulary:
    """The words rules name, and with them the key of an event."""

    def __init__(self, predicates: Iterable[Predicate]) -> None:
        self.words: tuple[set[str], ...] = tuple(set() for _ in NAMES)
        for predicate in predicates:
            for atom in atoms(predicate):
                if atom.kind == "equal":
                    self._learn(atom.path, [str(operand).lower() for operand in atom.operands])
        self._actors: dict[str, Key] = {}

    def _learn(self, path: Path, operands: list[str]) -> None:
        if path in _WORDS:
            self.words[FACETS[path]].update(operands)
        elif path == KEY:
            for resource, _, subresource in (operand.partition("/") for operand in operands):
                self.words[_RESOURCE].add(resource)
                self.words[_SUBRESOURCE].add(subresource)

    def key(self, event: Event) -> Key:
        """Give the key of an event."""
        return tuple(self._word(number, field(event)) for number, field in enumerate(_FIELDS))

    def _word(self, number: int, values: list[Any]) -> str | None:
        if not values:
            return None
        word = (text(values[0]) or "").lower()
        return word if word in self.words[number] else OTHER

    def traits(self, event: Event) -> Traits:
        """Give quickly what the key of an event follows from: equal traits mean equal keys."""
        ref, status, user, notes = event.objectRef, event.responseStatus, event.user, event.annotations
        name = None if user is None else user.username
        agent, addresses = event.userAgent, event.sourceIPs
        family = program(agent[:AGENT]) if agent else None
        return (
            event.stage == RECEIVED,
            event.verb,
            None if ref is None else ref.resource,
            None if ref is None else ref.subresource,
            None if status is None else status.code,
            notes is not None and notes.get(DECISION) == FORBID,
            None if event.impersonatedUser is None else _impersonation(event),
            (self._actors.get(name) or self._actor(event, name)) if name else None,
            family if family is None or family in self.words[_AGENT] else OTHER,
            addresses is not None and len(addresses) > 1,
        )

    def _actor(self, event: Event, name: str) -> Key:
        """Give the facets of the actor, and remember them for the next event of the same user."""
        facets = self.key(event)[_ACTOR:_AGENT]
        if len(self._actors) >= ACTORS:
            self._actors.clear()
        if len(name) <= LONGEST:
            self._actors[name] = facets
        return facets


def specialise(predicate: Predicate, key: Key) -> Predicate:
    """Answer what the key alone decides; gives a simplified predicate."""
    return simplify(_specialise(predicate, key))


def _specialise(predicate: Predicate, key: Key) -> Predicate:
    if isinstance(predicate, Atom):
        return _decide(predicate, key)
    if isinstance(predicate, And):
        return _all(predicate, key)
    if isinstance(predicate, Or):
        return Or(tuple(_specialise(part, key) for part in predicate.parts))
    if isinstance(predicate, Not):
        return Not(_specialise(predicate.part, key))
    if isinstance(predicate, Each | Since | Const):
        return predicate
    return _specialise(predicate.part, key)


def _all(predicate: And, key: Key) -> Predicate:
    """Stop at the first part that is false: of most rules no more is looked at."""
    parts = []
    for part in predicate.parts:
        rest = _specialise(part, key)
        if isinstance(rest, Const) and not rest.value:
            return FALSE
        parts.append(rest)
    return And(tuple(parts))


def decisive(predicate: Predicate) -> Predicate:
    """Put the parts of an ``and`` first that a key decides."""
    if not isinstance(predicate, And):
        return predicate
    return And(tuple(sorted(predicate.parts, key=lambda part: not (isinstance(part, Atom) and part.path in FACETS))))


def _decide(atom: Atom, key: Key) -> Predicate:
    undecided = atom.cased or atom.kind in COMPARED or atom.kind in {"fieldref", "keyword"}
    if undecided or (atom.path not in FACETS and atom.path != KEY):
        return atom
    value = _value(atom.path, key)
    if value is None:
        return Const(atom.kind == "null")
    if atom.kind in RAW:
        return Const(atom.kind == "exists")
    if OTHER in value:
        return FALSE if atom.kind == "equal" and atom.path not in MANIFOLD else atom
    return Const(TESTS[atom.kind](atom.operands)(value))


def _value(path: Path, key: Key) -> str | None:
    if path != KEY:
        return key[FACETS[path]]
    resource, subresource = key[_RESOURCE], key[_SUBRESOURCE]
    return f"{resource}/{subresource}" if resource and subresource else resource or None


def needs(predicate: Predicate) -> tuple[tuple[int, frozenset[str]], ...]:
    """Give facets by number, each with words of which a request must have one for a simplified predicate to hold."""
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    return tuple(
        (FACETS[part.path], frozenset(part.operands))
        for part in parts
        if isinstance(part, Atom) and part.kind == "equal" and not part.cased and part.path in _WORDS
    )


def asked_facets(predicate: Predicate) -> tuple[int, ...]:
    """List the facets, by number, that can decide something of a predicate."""
    asked = {atom.path for atom in atoms(predicate)}
    return tuple(number for path, number in FACETS.items() if path in asked or (KEY in asked and number in _OF_KEY))


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
