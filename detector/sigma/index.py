"""Finding rules by a value they demand: many rules on one field cost one look at it, not one each.

A rule that holds only if some field equals, starts with, ends with or contains a text is filed under that text. Texts
to equal are keys of a dict; the others are one automaton (RE2's set of patterns), linear in the length of the value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import re2

from detector.sigma.path import Path
from detector.sigma.predicate import And, Atom, Predicate, quiet

WORTH = 12
"""Fewer rules than this on one field are asked one by one."""
KINDS = ("equal", "startswith", "endswith", "contains")

Numbered = tuple[int, Predicate]


def file_rules(rules: list[Numbered]) -> tuple[list[Numbered], dict[tuple[Path, bool], list[tuple[Atom, Numbered]]]]:
    """Part rules into those to ask always, and those filed by (field, cased) under an atom they demand."""
    users = Counter(atom for _, predicate in rules for atom in _demanded(predicate))
    filed: dict[tuple[Path, bool], list[tuple[Atom, Numbered]]] = {}
    rest: list[Numbered] = []
    for rule in rules:
        atoms = sorted(_demanded(rule[1]), key=lambda atom: (users[atom], KINDS.index(atom.kind)))
        if atoms:
            filed.setdefault((atoms[0].path, atoms[0].cased), []).append((atoms[0], rule))
        else:
            rest.append(rule)
    for field in [field for field, members in filed.items() if len(members) < WORTH]:
        rest.extend(rule for _, rule in filed.pop(field))
    return sorted(rest, key=lambda rule: rule[0]), filed


def _demanded(predicate: Predicate) -> list[Atom]:
    """List the atoms without which a predicate cannot hold and that can be filed."""
    parts: Iterable[Predicate] = predicate.parts if isinstance(predicate, And) else (predicate,)
    return [part for part in parts if isinstance(part, Atom) and part.kind in KINDS and "" not in part.operands]


class Index:
    """The rules filed under the texts of one field. ``view`` gives the field's texts in an event."""

    def __init__(self, view: Callable[[Any], Sequence[str]], members: list[tuple[Atom, Any]]) -> None:
        self.view = view
        self.equal: dict[str, list[Any]] = {}
        self.members: list[Any] = []
        self.patterns = _automaton()
        for atom, member in members:
            for operand in atom.operands:
                if atom.kind == "equal":
                    self.equal.setdefault(operand, []).append(member)
                else:
                    self._add(_pattern(atom.kind, operand), member)
        if self.members:
            self.patterns.Compile()

    def _add(self, pattern: str, member: Any) -> None:
        self.patterns.Add(pattern)
        self.members.append(member)

    def candidates(self, event: Any) -> Iterable[Any]:
        """Give the members that can hold for an event, each once."""
        found: dict[Any, None] = {}
        for text in self.view(event):
            found.update(dict.fromkeys(self.equal.get(text, ())))
            if self.members:
                matches = self.patterns.Match(text) or ()  # it gives None for none
                found.update((self.members[number], None) for number in matches)
        return found


def _automaton() -> Any:
    return re2.Set.SearchSet(quiet())


def _pattern(kind: str, operand: str) -> str:
    escaped: str = re2.escape(operand)
    return {"startswith": rf"\A{escaped}", "endswith": rf"{escaped}\z", "contains": escaped}[kind]
