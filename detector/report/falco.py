"""What ``redshank rules import falco`` tells: rules of ours, and what became of each rule of Falco."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detector.encodings.plain import plain
from detector.errors import InputError
from detector.report.terminal import Page
from detector.report.words import count
from detector.sigma.falco import Conversion, convert
from detector.sigma.falco.fields import table
from detector.sigma.source import find_files, read_file

NOTHING = 2
"""Exit code where no rule could be converted."""


def load(paths: Iterable[Path]) -> Conversion:
    """Convert rules files (folders: every ``*.yaml`` in them), later ones on top of earlier ones.

    Raises InputError where there is no rule in them, and RuleError for what is no rules file.
    """
    conversion = convert([read_file(path) for path in find_files(paths)])
    if not conversion.converted and not conversion.refused:
        raise InputError(f"{', '.join(map(str, paths))}: no rule of Falco in it")
    return conversion


def exit_code(conversion: Conversion) -> int:
    """Give 0 where a rule was converted."""
    return 0 if conversion.converted else NOTHING


def documents(conversion: Conversion) -> str:
    """Give all rules as one YAML stream."""
    return "---\n".join(one.text for one in conversion.converted)


def tell(page: Page, conversion: Conversion, written: str) -> None:
    """Print what was not converted, and what means something else here; ``written`` says where the rules are."""
    for refused in conversion.refused:
        page.line(plain(str(refused)), "red")
    for one in conversion.converted:
        for note in one.notes:
            page.line(plain(f"{one.path}:{one.line}: rule {one.name!r}: note: {note}"), "yellow")
    rules = sum(refused.kind == "rule" for refused in conversion.refused) + len(conversion.converted)
    page.line(f"{len(conversion.converted)} of {count(rules, 'rule')} converted{written}")


def as_record(conversion: Conversion) -> dict[str, Any]:
    """Give all of it as JSON types."""
    converted = [
        {
            "rule": one.name,
            "path": one.path,
            "line": one.line,
            "file": one.file,
            "id": one.document["id"],
            "level": one.document["level"],
            "pack": one.document["redshank"]["pack"],
            "notes": list(one.notes),
            "document": one.document,
        }
        for one in conversion.converted
    ]
    refused = [
        {
            "kind": one.kind,
            "name": one.name,
            "path": one.path,
            "line": one.line,
            "column": one.column,
            "reason": one.reason,
        }
        for one in conversion.refused
    ]
    return {"converted": converted, "refused": refused}


def fields_markdown() -> str:
    """Give the table of Falco's fields as Markdown."""
    rows = "".join(f"| {name} | {path} | {remark} |\n" for name, path, remark in table())
    return f"| Falco | here | |\n| --- | --- | --- |\n{rows}"
