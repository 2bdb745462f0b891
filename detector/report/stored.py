"""Printing what a running daemon has stored: alerts, suppressions, dead letters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from detector.encodings import native
from detector.encodings.jsontext import dumps, printable
from detector.encodings.plain import cut, plain
from detector.finding import Level
from detector.report.alert import in_full
from detector.report.terminal import BADGES, STYLES, Page
from detector.report.words import count

SHORT = 80


def print_alerts(alerts: Iterable[dict[str, Any]], *, json: bool) -> None:
    """Print alerts as the API gives them, a line each."""
    if json:
        print_lines(alerts)
        return
    page = Page()
    for alert in alerts:
        level = BADGES[Level[alert["level"]]]
        verdict = (alert["verdict"] or {}).get("judgement", alert["status"])
        page.line(f"{level:8}  {clock(alert['last_seen'])}  {plain(alert['title'])}", STYLES[Level[alert["level"]]])
        who = alert["actor"] or ", ".join(alert["sources"])
        about = (cut(who, SHORT), alert["cluster"], count(alert["count"], "event"), verdict)
        page.line(f"          {alert['id']}  {f' {page.glyphs.dot} '.join(map(plain, filter(None, about)))}")


def clock(time: str) -> str:
    """Write an RFC 3339 time without its fraction."""
    return time[:19].replace("T", " ")


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
    page = Page()
    for entry in entries:
        told = [f"{key}={cut(str(entry[key]), SHORT)}" for key in keys if entry.get(key) not in {None, ""}]
        page.line("  ".join(told))


def print_lines(entries: Iterable[dict[str, Any]]) -> None:
    """Print entries as lines of JSON."""
    sys.stdout.writelines(printable(dumps(entry)).decode() + "\n" for entry in entries)
