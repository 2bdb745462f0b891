"""docs/falco.md: its table is that of the code, and its commands work."""

from __future__ import annotations

from pathlib import Path

from detector.report.falco import fields_markdown
from detector.sigma.falco.checks import ask
from detector.sigma.falco.convert import LEVELS
from detector.sigma.falco.fields import FIELDS, table
from detector.sigma.falco.tree import Check, Field
from detector.sigma.path import parse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "falco.md").read_text()


def test_the_table_of_fields_is_that_of_the_code() -> None:
    # python -c 'from detector.report.falco import fields_markdown; print(fields_markdown(), end="")' makes it.
    assert fields_markdown() in PAGE


def test_every_field_leads_somewhere() -> None:
    for name, one in FIELDS.items():
        parse(one.path)
        ask(Check(Field(name), "exists"), True, {})


def test_no_field_stands_twice_in_the_table() -> None:
    names = [name for name, _, _ in table()]
    assert len(names) == len(set(names))


def test_every_priority_is_told() -> None:
    assert all(f"`{priority.upper()}`" in PAGE for priority in LEVELS if priority != "info")
