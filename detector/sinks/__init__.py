"""Where alerts go, one file each.

A new file with ``SETTINGS`` is found by itself, by the configuration and by the contract suite.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Discriminator

from detector.sinks.settings import SinkSettings


def _all() -> tuple[type[SinkSettings], ...]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    found: list[type[SinkSettings]] = [module.SETTINGS for module in modules if hasattr(module, "SETTINGS")]
    return tuple(sorted(found, key=lambda settings: settings.model_fields["type"].default))


SINKS = _all()
"""The settings of every kind of sink, by name of the kind; ``settings.open(clock)`` makes the sink."""

if TYPE_CHECKING:
    AnySink = SinkSettings
else:
    AnySink = Annotated[Union[SINKS], Discriminator("type")]  # noqa: UP007
"""The settings of any sink, told apart by ``type``."""
