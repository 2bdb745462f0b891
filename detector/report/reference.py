"""Pages generated from what there is: derived fields, and what the rules cover."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from rich.text import Text

from detector.encodings.plain import plain
from detector.errors import ConfigError
from detector.fields import all_fields
from detector.report.terminal import Page, columns, heading
from detector.report.words import count
from detector.sigma.coverage import TACTICS, Coverage, Covered, navigator

TITLES = 3
"""Titles of rules shown for one entry on a terminal."""
NAMES = 30
"""Widest name of an entry."""


def print_fields(page: Page) -> None:
    """Print the derived fields that rules can name."""
    for field in all_fields().values():
        page.print(Text.assemble((field.name, "bold"), "  ", (field.shape, "dim")))
        page.print(columns([(" ".join(field.doc.split()),)], indent=3))


def fields_markdown() -> str:
    """Give the derived fields as a page of Markdown."""
    rows = [(f"`{one.name}`", one.shape, " ".join(one.doc.split())) for one in all_fields().values()]
    head = "# Derived fields\n\nWhat rules can name beside the attributes of the event itself. "
    made = "Made by `redshank rules fields --markdown`.\n\n"
    return head + made + table(("Field", "Shape", "Meaning"), rows)


def fields_json() -> list[dict[str, str]]:
    """Give the derived fields as JSON types."""
    return [{"name": one.name, "shape": one.shape, "doc": " ".join(one.doc.split())} for one in all_fields().values()]


def print_coverage(page: Page, coverage: Coverage) -> None:
    """Print tactics, techniques and answered ideas with their numbers of rules."""
    page.line(_head(coverage), "bold")
    tactics = [(TACTICS.get(one.name, one.name), one) for one in coverage.tactics]
    page.print(heading("Tactics"))
    page.print(columns([(name, _number(one), _bar(one, page)) for name, one in tactics], 22, 4, indent=3))
    sections = {"Techniques": coverage.techniques, "Threat Matrix": coverage.threat_matrix, "Answers": coverage.answers}
    for name, covered in sections.items():
        page.print(heading(name, count(len(covered), "entry", "entries")))
        width = max((len(one.name) for one in covered), default=0)
        rows = [(_number(one), Text(plain(one.name), "bold"), _titles(one)) for one in covered]
        page.print(columns(rows, 3, min(width, NAMES), indent=3))


def _head(coverage: Coverage) -> str:
    used = sum(bool(one.rules) for one in coverage.tactics)
    return (
        f"{count(len(coverage.rules), 'rule')}: {used} of {count(len(coverage.tactics), 'tactic')}, "
        f"{count(len(coverage.techniques), 'technique')}, {count(len(coverage.answers), 'idea')} answered"
    )


def _number(one: Covered) -> str:
    return f"{len(one.rules):3}"


def _bar(one: Covered, page: Page) -> Text:
    return Text(page.glyphs.bars[-1] * min(len(one.rules), page.width - 40), "red")


def _titles(one: Covered) -> str:
    left = len(one.rules) - TITLES
    shown = "; ".join(rule.title for rule in one.rules[:TITLES])
    return f"{shown}; and {left} more" if left > 0 else shown


def coverage_markdown(coverage: Coverage) -> str:
    """Give the coverage as a page of Markdown."""
    parts = [f"# What the rules cover\n\n{_head(coverage)}. Made by `redshank rules coverage --markdown`.\n"]
    tactics = [(TACTICS.get(one.name, one.name), str(len(one.rules))) for one in coverage.tactics]
    parts.append("## ATT&CK tactics\n\n" + table(("Tactic", "Rules"), tactics))
    sections = {
        "ATT&CK techniques": coverage.techniques,
        "Threat Matrix for Kubernetes": coverage.threat_matrix,
        "Ideas of the detection census": coverage.answers,
    }
    for name, covered in sections.items():
        rows = [
            (f"`{one.name}`", "; ".join(f"{rule.title} ({rule.level.name})" for rule in one.rules)) for one in covered
        ]
        parts.append(f"## {name}\n\n" + table(("Entry", "Rules"), rows))
    return "\n".join(parts)


def write_layer(path: Path, coverage: Coverage) -> None:
    """Write the layer for the ATT&CK Navigator. Raises ConfigError."""
    try:
        path.write_bytes(orjson.dumps(navigator(coverage), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from None


def coverage_json(coverage: Coverage) -> dict[str, Any]:
    """Give the coverage as JSON types: for each entry the ids of its rules."""
    names = ("tactics", "techniques", "threat_matrix", "answers")
    found = {name: {one.name: [rule.id for rule in one.rules] for one in getattr(coverage, name)} for name in names}
    return {"rules": len(coverage.rules), **found}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
