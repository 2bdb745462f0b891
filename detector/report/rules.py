"""Pages about rules: the list, and one rule with everything there is to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from detector.encodings.plain import plain
from detector.finding import RuleInfo
from detector.report.catalogue import SHORT, Catalogue, kind, source, title
from detector.report.query import Query
from detector.report.terminal import Page, badge, columns, heading
from detector.report.words import count
from detector.sigma.document import Loaded
from detector.sigma.rule import Exemption


def as_record(one: Loaded, info: RuleInfo | None) -> dict[str, Any]:
    """Give what there is to know about a rule as plain JSON types; filters have but a few of the keys."""
    place = {"kind": kind(one), "name": one.name, "path": one.document.file.path}
    if info is None:
        return {"id": one.id, "title": title(one), **place}
    return {**msgspec.to_builtins(info), "level": info.level.name, **place}


def chosen(catalogue: Catalogue, query: Query) -> list[Loaded]:
    """List the rules, correlations and filters that are chosen."""
    return [one for one in catalogue.loaded if query.takes(one, catalogue.infos.get(one.id))]


def list_rules(page: Page, catalogue: Catalogue, query: Query) -> None:
    """Print rules: short id, level, pack, title, techniques."""
    listed = chosen(catalogue, query)
    infos = [catalogue.infos[one.id] for one in listed if one.id in catalogue.infos]
    filters = [one for one in listed if isinstance(one.made, Exemption)]
    ordered = sorted(infos, key=lambda info: (-info.level, info.pack, info.title))
    page.print(columns(map(_row, ordered), SHORT, 8, 8))
    page.print(columns([(one.id[:SHORT], "filter", "", title(one)) for one in filters], SHORT, 8, 8))
    said = f"{count(len(infos), 'rule')}, {count(len(filters), 'filter')}"
    if query != Query():
        said = f"{len(listed)} of {len(catalogue.loaded)} are like that"
    page.print(Text(f"\n{said}; redshank rules show ID tells more", "dim"))


def _row(info: RuleInfo) -> tuple[str | Text, ...]:
    what = Text.assemble(plain(info.title), (f"  {' '.join(info.techniques)}", "dim"))
    return Text(info.id[:SHORT], "dim"), badge(info.level), info.pack, what


def show_rule(page: Page, catalogue: Catalogue, one: Loaded) -> None:
    """Print one rule: what it says of itself, what to do, how it hangs together with others, and its YAML."""
    info = catalogue.infos.get(one.id)
    page.print(Text(plain(title(one)), "bold"))
    page.print(columns(_facts(one, info, page.glyphs.dot), 11, style="dim"))
    if info and info.description:
        page.print(Text(f"\n{plain(' '.join(info.description.split()))}"))
    if info and info.message:
        page.print(Text(f"\nIts alerts say: {plain(info.message)}"))
    page.print(*_section("What to do", list(info.runbook) if info else [], numbered=True))
    page.print(*_section("It may be harmless", list(info.falsepositives) if info else []))
    page.print(*_section("Related", list(_related(catalogue, one))))
    page.print(*_section("References", list(info.references) if info else []))
    page.print(heading("Source", one.document.file.path))
    for line in source(one).splitlines():
        page.line(plain(line))


def _facts(one: Loaded, info: RuleInfo | None, dot: str) -> Iterator[tuple[str | Text, ...]]:
    yield "id", one.id
    yield "kind", kind(one)
    if one.name:
        yield "name", one.name
    if info is None:
        extras = one.extras
        yield from (("owner", extras.owner), ("reason", extras.reason), ("expires", str(extras.expires or "never")))
        return
    yield "level", badge(info.level)
    yield "pack", info.pack
    lists = {"tactics": info.tactics, "techniques": info.techniques, "threats": info.threat_matrix}
    for label, names in {**lists, "answers": info.answers}.items():
        if names:
            yield label, f" {dot} ".join(names)
    if info.guide:
        yield "guide", info.guide


def _section(name: str, lines: list[str], *, numbered: bool = False) -> Iterator[RenderableType]:
    if lines:
        yield heading(name)
        marks = [f"{index}." if numbered else "-" for index in range(1, len(lines) + 1)]
        yield columns(
            [(mark, " ".join(line.split())) for mark, line in zip(marks, lines, strict=True)], 2 if numbered else 1
        )


def _related(catalogue: Catalogue, one: Loaded) -> Iterator[str]:
    """Say which correlations count a rule, which rules a correlation counts, and which filters quiet a rule."""
    for correlation in catalogue.rules.correlations:
        if one.id in correlation.bases:
            yield f"counted by {correlation.info.id[:SHORT]} {correlation.info.title}"
        if one.id == correlation.info.id:
            names = [catalogue.infos[base] for base in correlation.bases]
            yield from (f"counts {base.id[:SHORT]} {base.title}" for base in names)
    for exemption in catalogue.rules.exemptions:
        if {one.id, one.name} & set(exemption.rules) or (not exemption.rules and one.id != exemption.id):
            yield f"quieted by filter {exemption.id[:SHORT]} {exemption.title}"
