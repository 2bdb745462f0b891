"""The register of derived fields, and how they are named and remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from detector.event import Event

Getter = Callable[[Event], Any]
_UNSET = object()


@dataclass(frozen=True, slots=True)
class DerivedField:
    """A derived field: its name in rules, the shape of its value, its meaning, and the function.

    ``get`` gives the value for an event, worked out at most once. Where ``within`` names another field, this one is
    null or empty whenever that one is, so that rules need to ask that one first and alone.
    """

    name: str
    shape: str
    doc: str
    compute: Getter
    within: str | None = None
    get: Getter = field(init=False)

    def __post_init__(self) -> None:
        """Make ``get`` a plain function: it is called several times an event."""
        object.__setattr__(self, "get", _remembered(self.name, self.compute))

    @property
    def manifold(self) -> bool:
        """Whether its value is a list or an object rather than one plain value."""
        return self.shape.startswith(("list", "object"))

    def __call__(self, event: Event) -> Any:
        """Give the value for an event."""
        return self.get(event)


_REGISTER: dict[str, DerivedField] = {}


def derived(name: str, shape: str, within: str | None = None) -> Callable[[Getter], DerivedField]:
    """Register a function of an event as the derived field ``name``; its docstring is the documentation."""

    def register(function: Getter) -> DerivedField:
        if name in _REGISTER:
            raise ValueError(f"derived field {name} is registered twice")
        doc = (function.__doc__ or "").strip()
        if not doc:
            raise ValueError(f"derived field {name} has no documentation")
        entry = _REGISTER[name] = DerivedField(name, shape, doc, function, within)
        return entry

    return register


def _remembered(name: str, compute: Getter) -> Getter:
    def get(event: Event) -> Any:
        memo = event.__dict__
        # Not try/except: most fields are asked once, and raising costs more than working most of them out.
        value = memo.get(name, _UNSET)
        if value is _UNSET:
            value = memo[name] = compute(event)
        return value

    return get


def all_fields() -> dict[str, DerivedField]:
    """Give every derived field by name, in order of name."""
    return dict(sorted(_REGISTER.items()))


def field_named(name: str) -> DerivedField | None:
    """Give a derived field by its name; None when there is none."""
    return _REGISTER.get(name)


def value_of(name: str, event: Event) -> Any:
    """Give a derived field's value; KeyError when there is none of that name."""
    return _REGISTER[name].get(event)
