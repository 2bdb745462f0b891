"""What several encodings say of an alert, in the words of nobody's format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from detector.event import rfc3339
from detector.finding import Alert, Reason, RuleInfo

PRODUCT = "redshank"
ATTACK = "https://attack.mitre.org"
LISTED = 20
"""Audit-IDs told where there is little room."""
TACTICS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "command-and-control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
"""The tactics of ATT&CK for enterprise as rules name them, and their ids (https://attack.mitre.org/tactics/enterprise/)."""
_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")


class Named(NamedTuple):
    """A tactic or technique of ATT&CK; techniques go by their id alone."""

    id: str
    name: str
    url: str


def tactics(rule: RuleInfo) -> list[Named]:
    """Give the tactics of a rule that ATT&CK knows."""
    known = [(TACTICS[slug], slug) for slug in rule.tactics if slug in TACTICS]
    return [Named(id_, _title(slug), f"{ATTACK}/tactics/{id_}/") for id_, slug in known]


def _title(slug: str) -> str:
    return slug.replace("-", " ").title().replace(" And ", " and ")


def techniques(rule: RuleInfo) -> list[Named]:
    """Give the techniques of a rule, in upper case."""
    written = [id_ for text in rule.techniques if _TECHNIQUE.fullmatch(id_ := text.upper())]
    return [Named(id_, "", f"{ATTACK}/techniques/{id_.replace('.', '/')}/") for id_ in written]


def said(alert: Alert) -> str:
    """Give the sentence that says what happened; alerts of elsewhere may have none."""
    return alert.message or alert.title or alert.rule.id


def clock(time: int) -> str:
    """Write microseconds since 1970 as a person reads a time: UTC, to the second."""
    return f"{rfc3339(time)[: len('2026-11-22T13:43:01')].replace('T', ' ')} UTC"


def why(reason: Reason) -> str:
    """Write a reason on one line."""
    return f"{reason} ({reason.wanted})" if reason.wanted.startswith("at least") else str(reason)


def reasons(alert: Alert) -> list[str]:
    """Write the reasons, each once."""
    return list(dict.fromkeys(map(why, alert.reasons)))


def steps(rule: RuleInfo) -> list[str]:
    """Give the steps of the runbook, numbered."""
    return [f"{number}. {step}" for number, step in enumerate(rule.runbook, start=1)]


def some(items: Sequence[str], most: int) -> list[str]:
    """Give the first items, and how many others there are."""
    left = len(items) - most
    return [*items[:most], *([f"and {left} more"] if left > 0 else [])]


def addresses(alert: Alert) -> list[str]:
    """Give the sources that are IP addresses: many programs refuse documents with something else in place of one."""
    return [source for source in alert.sources if is_address(source)]


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def sampled(sample: dict[str, Any], *path: str) -> str:
    """Give a text or number in a sample; empty where there is none, or something else."""
    value: Any = sample
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def first(alert: Alert, *path: str) -> str:
    """Give a text or number in the first sample."""
    return sampled(alert.samples[0], *path) if alert.samples else ""


def known(alert: Alert) -> dict[str, Any]:
    """Give what we alone say of an alert: never long, never hostile, never cut."""
    return {
        "id": alert.id,
        "revision": alert.revision,
        "status": alert.status,
        "change": alert.change,
        "level": alert.level.name,
        "count": alert.count,
    }


def filled(value: Any) -> Any:
    """Give a JSON value without empty texts, lists and objects, and without nulls."""
    if isinstance(value, dict):
        kept = {key: filled(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if not _empty(item)}
    return [kept for item in value if not _empty(kept := filled(item))] if isinstance(value, list) else value


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {})
