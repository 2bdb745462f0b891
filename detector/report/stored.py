"""Printing what a running daemon has stored: alerts, suppressions, dead letters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from detector.encodings import native
from detector.encodings.jsontext import dumps, printable
from detector.encodings.plain import cut, plain
from detector.finding import Level
from detector.report.alert import in_full
from detector.report.terminal import Page, badge

SHORT = 60


def print_alerts(alerts: Iterable[dict[str, Any]], *, json: bool) -> None:
    """Print alerts as the API gives them, a line each."""
    if json:
        print_lines(alerts)
        return
    rows = [
        (
            badge(Level[alert["level"]]),
            alert["last_seen"][:19].replace("T", " "),
            cut(alert["title"], SHORT),
            cut(alert["actor"] or ", ".join(alert["sources"]), SHORT),
            plain(alert["cluster"]),
            str(alert["count"]),
            (alert["verdict"] or {}).get("judgement", alert["status"]),
            alert["id"],
        )
        for alert in alerts
    ]
    _table(("level", "last seen", "alert", "actor", "cluster", "events", "status", "id"), rows)


def print_alert(alert: dict[str, Any], *, json: bool) -> None:
    """Print one alert in full."""
    if json:
        print_lines([alert])
        return
    page = Page()
    verdict = alert.pop("verdict", None)
    for part in in_full(native.decode(alert), page.glyphs):
        page.print(part)
    if verdict:
        page.line(f"   {verdict['judgement']} by {plain(verdict['who'])} at {verdict['at']}: {plain(verdict['why'])}")


def print_entries(entries: Sequence[dict[str, Any]], keys: Sequence[str], *, json: bool) -> None:
    """Print some keys of each entry, a line each; as JSON, all of it."""
    if json:
        print_lines(entries)
        return
    used = [key for key in keys if any(entry.get(key) not in {None, ""} for entry in entries)]
    _table(used, [[cut(str(entry.get(key) or ""), SHORT) for key in used] for entry in entries])


def print_lines(entries: Iterable[dict[str, Any]]) -> None:
    """Print entries as lines of JSON."""
    sys.stdout.writelines(printable(dumps(entry)).decode() + "\n" for entry in entries)


def _table(names: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    page = Page()
    if not rows:
        page.line("nothing")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in {"level", "last seen", "id"})
    for row in rows:
        table.add_row(*(one if isinstance(one, Text) else Text(one) for one in row))
    page.print(table)
