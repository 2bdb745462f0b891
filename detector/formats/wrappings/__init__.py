"""The wrappings audit events arrive in, one file each.

A new file with a ``WRAPPING`` is found by itself, as are its examples by the contract suite.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from detector.formats.wrappings.base import Wrapping


def _all() -> tuple[Wrapping, ...]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    found: list[Wrapping] = [module.WRAPPING for module in modules if hasattr(module, "WRAPPING")]
    return tuple(sorted(found, key=lambda wrapping: (wrapping.order, wrapping.name)))


WRAPPINGS = _all()
"""Every wrapping in sniffing order."""

OBJECTS = tuple(wrapping.unwrap for wrapping in WRAPPINGS if wrapping.unwrap is not None)
LINES = tuple(wrapping.strip for wrapping in WRAPPINGS if wrapping.strip is not None)
