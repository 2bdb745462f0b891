"""Facets: a few small properties of every request that decide most rules before an event is looked at.

Verb, resource, subresource, outcome, answer code, impersonation and what the actor is are the key of a request. Words
that no rule names are all one word, `OTHER`, so that a client cannot cause compilations by inventing some.
`specialise` answers what the key alone decides of a rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from detector.event import Event
from detector.fields import all_fields
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
STRANGERS = 4096
"""So many other words are remembered, to look them up faster."""

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
)
FACETS = {parse(name)[0]: number for number, name in enumerate(NAMES)}
(RESOURCE,), (KEY,) = parse("objectRef.resource"), parse("key")
_RESOURCE, _SUBRESOURCE = 1, 2
_FIELDS = all_fields()

Key = tuple[str | None, ...]
"""The facets of a request in the order of `NAMES`: lower case, `OTHER`, or None where it has none."""


class Words(dict[str | int | None, str | None]):
    """The words of one facet that rules name: looks up a word as it comes, gives it lower-cased, or `OTHER`."""

    def __missing__(self, word: str | int) -> str | None:
        known = self.get((text(word) or "").lower(), OTHER)
        if len(self) < STRANGERS:
            self[word] = known
        return known


class Vocabulary:
    """The words rules name, and with them the key of an event."""

    def __init__(self, predicates: Iterable[Predicate]) -> None:
        self.words = tuple(Words({None: None}) for _ in NAMES)
        for predicate in predicates:
            for atom in atoms(predicate):
                if atom.kind == "equal":
                    self._learn(atom.path, [str(operand).lower() for operand in atom.operands])
        self._look_up = tuple(words.__getitem__ for words in self.words)
        self._actors: dict[str, Key] = {}

    def _learn(self, path: Path, operands: list[str]) -> None:
        if path in FACETS:
            self.words[FACETS[path]].update((word, word) for word in operands)
        elif path == KEY:
            for resource, _, subresource in (operand.partition("/") for operand in operands):
                self.words[_RESOURCE][resource] = resource
                self.words[_SUBRESOURCE][subresource] = subresource

    def key(self, event: Event) -> Key:
        """Give the key of an event."""
        verbs, resources, subresources, outcomes, codes, impersonations, *_ = self._look_up
        ref, status, user = event.objectRef, event.responseStatus, event.user
        actor = self._actors.get(user.username) if user is not None and user.username else None
        return (
            verbs(event.verb),
            None if ref is None else resources(ref.resource),
            None if ref is None else subresources(ref.subresource),
            outcomes(_outcome(event)),
            None if status is None else codes(status.code),
            None if event.impersonatedUser is None else impersonations(_impersonation(event)),
            *(actor or self._actor(event)),
        )

    def _actor(self, event: Event) -> Key:
        """Work out the facets of the actor, and remember them for the next event of the same user."""
        facets = tuple(words(field(event)) for words, field in zip(self._look_up[-len(_ACTOR) :], _ACTOR, strict=True))
        if event.user is not None and event.user.username and len(self._actors) < STRANGERS:
            self._actors[event.user.username] = facets
        return facets


_outcome, _impersonation = _FIELDS["outcome"].compute, _FIELDS["impersonation"].compute
_ACTOR = tuple(_FIELDS[name].compute for name in ("actor.kind", "actor.namespace", "actor.builtin"))


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
    if OTHER in value:
        return FALSE if atom.kind == "equal" else atom
    if atom.kind in RAW:
        return Const(atom.kind == "exists")
    return Const(TESTS[atom.kind](atom.operands)(value))


def _value(path: Path, key: Key) -> str | None:
    if path != KEY:
        return key[FACETS[path]]
    resource, subresource = key[_RESOURCE], key[_SUBRESOURCE]
    return f"{resource}/{subresource}" if resource and subresource else resource or None


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
