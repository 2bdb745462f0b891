"""What `db check` prints."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.encodings.plain import plain
from detector.report.terminal import Page
from detector.report.words import number, size
from detector.store.checks import Part, Report


def as_record(report: Report) -> dict[str, Any]:
    """Give a report as JSON types; ``sound`` says whether nothing is wrong."""
    record: dict[str, Any] = msgspec.to_builtins(report)
    return {"sound": not report.problems, **record}


def print_report(page: Page, report: Report) -> None:
    """Print what was found of each part, and what is wrong."""
    for part in report.parts:
        page.line(f"{plain(part.path)}: {_about(part)}", "bold")
        for problem in part.problems:
            page.line(f"  {plain(problem)}", "bold red")
    page.line(f"{plain(report.directory)} is {'damaged' if report.problems else 'sound'}")


def _about(part: Part) -> str:
    counts = (f"{name.replace('_', ' ')} {number(value)}" for name, value in part.counts.items())
    return ", ".join((size(part.bytes), *counts))
