"""The register of derived fields, and how they are named and remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detector.event import Event

_UNSET = object()


@dataclass(frozen=True, slots=True)
class DerivedField:
    """A derived field: its name in rules, the shape of its value, its meaning, and the function."""

    name: str
    shape: str
    doc: str
    compute: Callable[[Event], Any]

    def __call__(self, event: Event) -> Any:
        """Give the value for an event, worked out at most once."""
        memo = event.__dict__
        # Not try/except: most fields are asked once, and raising costs more than working most of them out.
        value = memo.get(self.name, _UNSET)
        if value is _UNSET:
            value = memo[self.name] = self.compute(event)
        return value


_REGISTER: dict[str, DerivedField] = {}


def derived(name: str, shape: str) -> Callable[[Callable[[Event], Any]], DerivedField]:
    """Register a function of an event as the derived field ``name``; its docstring is the documentation."""

    def register(function: Callable[[Event], Any]) -> DerivedField:
        if name in _REGISTER:
            raise ValueError(f"derived field {name} is registered twice")
        doc = (function.__doc__ or "").strip()
        if not doc:
            raise ValueError(f"derived field {name} has no documentation")
        entry = _REGISTER[name] = DerivedField(name, shape, doc, function)
        return entry

    return register


def all_fields() -> dict[str, DerivedField]:
    """Give every derived field by name, in order of name."""
    return dict(sorted(_REGISTER.items()))


def value_of(name: str, event: Event) -> Any:
    """Give a derived field's value; KeyError when there is none of that name."""
    return _REGISTER[name](event)
