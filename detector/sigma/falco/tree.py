"""A Falco condition as a tree."""

from __future__ import annotations

from typing import Any

import msgspec


class Word(msgspec.Struct, frozen=True):
    """A value as written; the name of a list counts as one only where it is not in quotes."""

    text: str
    quoted: bool = False


class Field(msgspec.Struct, frozen=True):
    """A field with its argument (``ka.uri.param[command]``) and the functions around it, outermost first."""

    name: str
    argument: str | None = None
    functions: tuple[str, ...] = ()

    def __str__(self) -> str:
        whole = self.name if self.argument is None else f"{self.name}[{self.argument}]"
        for function in reversed(self.functions):
            whole = f"{function}({whole})"
        return whole


class Check(msgspec.Struct, frozen=True):
    """A field, an operator, and the values or the other field it is compared with."""

    field: Field
    operator: str
    values: tuple[Word, ...] = ()
    other: Field | None = None


class Macro(msgspec.Struct, frozen=True):
    """The name of a macro."""

    name: str


class And(msgspec.Struct, frozen=True):
    """All of them."""

    parts: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one of them."""

    parts: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    part: Expression


class Named(msgspec.Struct, frozen=True):
    """What a macro (or an exception) of this name stands for."""

    name: str
    part: Expression


class Const(msgspec.Struct, frozen=True):
    """Known beforehand, and by which names, the outermost first."""

    value: bool
    because: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """What a check is in Sigma: fields with modifiers and their values, all of which must hold."""

    items: dict[str, Any]


Expression = Check | Asked | Macro | And | Or | Not | Named | Const
