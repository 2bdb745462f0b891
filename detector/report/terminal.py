"""Printing: to a terminal with colour and drawing characters, to anything else as plain ASCII-drawn text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from detector.encodings.plain import plain
from detector.finding import Level

STYLES = {
    Level.critical: "bold white on red",
    Level.high: "bold red",
    Level.medium: "yellow",
    Level.low: "cyan",
    Level.informational: "dim",
}
BADGES = {
    Level.critical: "CRITICAL",
    Level.high: "HIGH",
    Level.medium: "MEDIUM",
    Level.low: "LOW",
    Level.informational: "INFO",
}


@dataclass(frozen=True)
class Glyphs:
    """The drawing characters in use; the default is for terminals that can show them."""

    bars: str = " ▂▃▄▅▆▇█"
    arrow: str = "→"
    dot: str = "·"
    dash: str = "–"
    times: str = "×"
    passed: str = "✓"
    failed: str = "✗"
    bullet: str = "•"
    floor: str = "▁"
    branch: str = "├─ "
    last: str = "└─ "
    pipe: str = "│  "


ASCII = Glyphs(" .:-=+*#@", "->", "|", "-", "x", "+", "x", "*", "_", "|- ", "`- ", "|  ")


class Page:
    """Where a page is printed: a console and the glyphs it can show."""

    def __init__(self, file: TextIO | None = None, width: int | None = None, *, rich: bool | None = None) -> None:
        self.file = file if file is not None else sys.stdout
        terminal = self.file.isatty() if rich is None else rich
        self.console = Console(
            file=self.file,
            width=width or Console(file=self.file).width,
            force_terminal=terminal,
            no_color=True if os.environ.get("NO_COLOR") else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
        drawable = (getattr(self.file, "encoding", None) or "utf-8").lower().startswith("utf")
        self.glyphs = Glyphs() if terminal and drawable else ASCII
        self.terminal = terminal

    @property
    def width(self) -> int:
        """Columns to write in."""
        return self.console.width

    def line(self, text: str, style: str = "") -> None:
        """Print one line as it is, however long."""
        with self.console.capture() as capture:
            self.console.print(Text(text, style), soft_wrap=True)
        self._write(capture.get())

    def print(self, *parts: RenderableType) -> None:
        """Print the parts below each other; plain text carries no blanks at the ends of its lines."""
        with self.console.capture() as capture:
            for part in parts:
                self.console.print(part)
        written = capture.get()
        if not self.terminal:
            written = "".join(f"{line.rstrip()}\n" for line in written.splitlines())
        self._write(written)

    def _write(self, written: str) -> None:
        encoding = getattr(self.file, "encoding", None) or "utf-8"
        self.file.write(written.encode(encoding, "backslashreplace").decode(encoding))


def badge(level: Level) -> Text:
    """Give the name of a level as a coloured word."""
    return Text.assemble((BADGES[level], STYLES[level]))  # the style is not to spread to the blanks around it


def heading(title: str, aside: str = "") -> Text:
    """Give the title of a section, after an empty line."""
    return Text.assemble("\n", (plain(title), "bold underline"), (f"  {plain(aside)}" if aside else "", "dim"))


def columns(
    rows: Iterable[tuple[str | Text, ...]], *widths: int, indent: int = 0, style: str = "", fold: bool = True
) -> Table:
    """Give rows in columns; the last takes what is left and wraps there, or is cut where ``fold`` is False."""
    grid = Table.grid(padding=(0, 1, 0, 0), expand=False)
    if indent:
        grid.add_column(width=indent - 1, min_width=indent - 1)
    for width in widths:
        grid.add_column(width=width, min_width=width, no_wrap=True, style=style)
    grid.add_column(overflow="fold")
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row]
        if not fold:  # said of the text, not of the column: rich would then narrow the other columns
            cells[-1].no_wrap, cells[-1].overflow = True, "ellipsis"
        grid.add_row(*([Text()] if indent else []), *cells)
    return grid
