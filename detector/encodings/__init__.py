"""Alerts as other programs take them: one pure function in one file for each format.

A new file with a ``NAME``, a ``LIMIT`` (bytes that its result never exceeds) and ``encode(alert)``, which gives an
object for JSON or a line of text, is found by itself, and so by the contract suite.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import msgspec

from detector.finding import Alert


class Encoding(msgspec.Struct, frozen=True):
    """One form of an alert, and the bytes that it has at most in UTF-8 (an object: its JSON)."""

    name: str
    limit: int
    encode: Callable[[Alert], dict[str, Any] | str]


def _all() -> dict[str, Encoding]:
    modules: list[ModuleType] = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    found = [Encoding(one.NAME, one.LIMIT, one.encode) for one in modules if hasattr(one, "NAME")]
    return {one.name: one for one in found}


ENCODINGS = _all()
"""Every encoding by its name."""
