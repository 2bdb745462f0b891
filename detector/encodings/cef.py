"""CEF, the Common Event Format of ArcSight: one line of text.

"Implementing ArcSight Common Event Format", version 26: a header of seven fields between pipes, then ``key=value``
pairs from its dictionary of keys, with the lengths given there. Whatever could end the line, move the cursor or hide
text is written as an escape before the format's own escapes are applied, so that no value is taken for another key.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.encodings.jsontext import fit
from detector.encodings.parts import LISTED, PRODUCT, addresses, first, reasons, said, some, steps, tactics, techniques
from detector.encodings.plain import cut
from detector.finding import Alert, Level
from detector.version import __version__

NAME = "cef"
LIMIT = 7000
"""Bytes, so that a syslog header and the message stay within 8 KiB."""
SEVERITIES = {Level.informational: 0, Level.low: 3, Level.medium: 5, Level.high: 8, Level.critical: 10}
"""0–3 is low, 4–6 medium, 7–8 high, 9–10 very high."""
MILLISECOND = 1000
MOST = (1 << 31) - 1
LONG = 1023
CUSTOM = 4000
NAME_LENGTH = 512
"""The dictionary's longest values, in characters."""


def encode(alert: Alert) -> str:
    """Give an alert as one line of CEF, without a line end."""
    return fit(lambda room: _line(alert, room), LIMIT)


def _line(alert: Alert, room: int) -> str:
    header = (PRODUCT, PRODUCT, __version__, alert.rule.id, cut(alert.title, min(room, NAME_LENGTH)))
    fields = "|".join(_header(one) for one in header)
    values = {**_facts(alert), **_texts(alert, room)}
    extension = " ".join(f"{key}={_value(value)}" for key, value in values.items() if value)
    return f"CEF:0|{fields}|{SEVERITIES[alert.level]}|{extension}"


def _header(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=")


def _facts(alert: Alert) -> dict[str, str]:
    begin, end = (str(max(time // MILLISECOND, 0)) for time in (alert.first_seen, alert.last_seen))
    return {
        "externalId": alert.id,
        "rt": end,
        "start": begin,
        "end": end,
        "cnt": str(min(alert.count, MOST)),
        "cn1Label": "revision",
        "cn1": str(alert.revision),
        "flexString1Label": "status",
        "flexString1": alert.status,
        "flexString2Label": "level",
        "flexString2": alert.level.name,
    }


def _texts(alert: Alert, room: int) -> dict[str, str]:
    rule = alert.rule
    texts = {
        "cat": _joined([one.name for one in tactics(rule)], room, LONG),
        "msg": cut(said(alert), min(room, LONG)),
        "suser": cut(alert.actor, min(room, LONG)),
        **_source(alert),
        "requestMethod": cut(first(alert, "verb"), min(room, LONG)),
        "request": cut(first(alert, "requestURI"), min(room, LONG)),
        "requestClientApplication": cut(first(alert, "userAgent"), min(room, LONG)),
    }
    custom = {
        "cluster": cut(alert.cluster, min(room, CUSTOM)),
        "targets": _joined(alert.targets, room, CUSTOM),
        "techniques": _joined([one.id for one in techniques(rule)], room, CUSTOM),
        "reasons": _joined(reasons(alert), room, CUSTOM),
        "runbook": _joined(steps(rule), room, CUSTOM),
        "auditIds": _joined(some(alert.audit_ids, LISTED), room, CUSTOM),
    }
    for number, (label, value) in enumerate(custom.items(), start=1):
        texts |= {f"cs{number}Label": label, f"cs{number}": value} if value else {}
    return texts


def _source(alert: Alert) -> dict[str, str]:
    """Give the first address: ``src`` takes IPv4 only, IPv6 has keys of its own."""
    found = addresses(alert)
    if not found:
        return {}
    return {"c6a2Label": "Source IPv6 Address", "c6a2": found[0]} if ":" in found[0] else {"src": found[0]}


def _joined(items: Sequence[str], room: int, longest: int) -> str:
    """Join the first items, each cut to ``room``, all of them to ``longest``."""
    return cut("; ".join(cut(one, room) for one in some(list(items), room)), longest)
