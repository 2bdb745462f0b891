"""Draws docs/replay.svg: the screen of a real ``redshank replay``, for the README. ``make docs`` runs it.

The command runs on a pseudo-terminal, so that it prints what a person sees. The picture ends after the first alert.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ("redshank", "replay", "sample_logs/attack.jsonl.gz", "--level", "high")
WIDTH = 100


def screen() -> str:
    """Run the command on a terminal `WIDTH` columns wide; gives what it printed, colours included."""
    reader, writer = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "detector", *COMMAND[1:]]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.DEVNULL) as child:
        os.close(writer)
        printed = b"".join(iter(lambda: _read(reader), b""))
    os.close(reader)
    if child.returncode:
        raise SystemExit(f"redshank replay failed with {child.returncode}")
    return printed.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux: the other end is closed
        return b""


def first_part(lines: list[Text]) -> list[Text]:
    """Give the lines up to the end of the first alert: a heading, an empty line, the alert, an empty line."""
    heading = next(number for number, line in enumerate(lines) if line.plain.startswith("Alerts"))
    end = next(number for number in range(heading + 2, len(lines)) if not lines[number].plain.strip())
    return lines[:end]


def picture() -> str:
    """Give the picture as SVG."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ {' '.join(COMMAND)}\n", "bold green"))
    for line in first_part([Text.from_ansi(line) for line in screen().split("\n")]):
        console.print(line, no_wrap=True, crop=True)
    console.print(Text("…", "dim"))
    return console.export_svg(title="redshank replay", theme=MONOKAI)


if __name__ == "__main__":
    (ROOT / "docs" / "replay.svg").write_text(picture(), encoding="utf-8")
