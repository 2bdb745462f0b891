"""What `redshank doctor` finds out, and how it is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from detector.encodings.jsontext import dumps, printable
from detector.encodings.plain import plain
from detector.report.terminal import Page
from detector.report.words import count

FINDINGS = 1
"""The exit code when not all is fine."""
STYLES = {"ok": "green", "warning": "yellow", "broken": "bold red"}


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    part: str
    """Such as ``journal`` or ``sink siem``."""
    verdict: Literal["ok", "warning", "broken"]
    what: str
    todo: str = ""
    """What to do next; empty where nothing is to be done."""


def ok(part: str, what: str) -> Check:
    """Say that all is well."""
    return Check(part, "ok", what)


def warning(part: str, what: str, todo: str) -> Check:
    """Say that something is to be looked at."""
    return Check(part, "warning", what, todo)


def broken(part: str, what: str, todo: str) -> Check:
    """Say that something does not work."""
    return Check(part, "broken", what, todo)


def print_checks(checks: Iterable[Check], *, json: bool) -> int:
    """Print checks as they come, or all of them as one JSON object; gives the exit code."""
    page, seen = Page(), list[Check]()
    for check in checks:
        seen.append(check)
        if not json:
            _print(page, check)
    if json:
        page.line(printable(dumps(as_record(seen))).decode())
    else:
        page.line(_end(seen), "bold")
    return 0 if all(check.verdict == "ok" for check in seen) else FINDINGS


def _print(page: Page, check: Check) -> None:
    todo = f"; next: {check.todo}" if check.todo else ""
    page.line(plain(f"{check.verdict:8} {check.part}: {check.what}{todo}"), STYLES[check.verdict])


def _end(checks: Sequence[Check]) -> str:
    """Give the last line: how many are not fine, and where to begin."""
    numbers = Counter(check.verdict for check in checks)
    said = [f"{numbers['broken']} broken, first {first_broken(checks)}"] if numbers["broken"] else []
    said += [count(numbers["warning"], "warning")] if numbers["warning"] else []
    return plain(f"{count(len(checks), 'check')}: {'; '.join(said) or 'all fine'}")


def first_broken(checks: Sequence[Check]) -> str:
    """Give the first part that does not work; empty where none is so."""
    return next((check.part for check in checks if check.verdict == "broken"), "")


def as_record(checks: Sequence[Check]) -> dict[str, Any]:
    """Give all of it as JSON types; ``fine`` says whether nothing is to be done."""
    fine = all(check.verdict == "ok" for check in checks)
    return {"fine": fine, "first_broken": first_broken(checks), "checks": msgspec.to_builtins(checks)}
