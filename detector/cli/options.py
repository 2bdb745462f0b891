"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.errors import ConfigError
from detector.finding import Level
from detector.report.when import Moment

LEVELS = "informational, low, medium, high, critical"
PANEL = "Which rules"

RulesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules",
        metavar="PATH",
        help="Rules of your own: a file or a folder of *.yml. Repeatable.",
        rich_help_panel=PANEL,
    ),
]
BuiltinOption = Annotated[
    bool,
    typer.Option(
        "--builtin-rules/--no-builtin-rules", help="Use the rules that ship with redshank.", rich_help_panel=PANEL
    ),
]
PacksOption = Annotated[
    str,
    typer.Option(
        "--packs", metavar="NAMES", help="Packs of rules, with commas: core, extended, hunting.", rich_help_panel=PANEL
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a page for people.")]


def level(text: str | None, flag: str) -> Level | None:
    """Read a level. Raises ConfigError."""
    try:
        return None if text is None else Level.parse(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from None


def packs(text: str, flag: str = "--packs") -> tuple[str, ...]:
    """Read names of packs with commas. Raises ConfigError."""
    from detector.sigma.rule import pack_names

    try:
        return pack_names(text)
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error}") from None


def moment(text: str | None, flag: str) -> Moment | None:
    """Read a time. Raises ConfigError."""
    return None if text is None else Moment(text, flag)
