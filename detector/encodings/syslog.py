"""Syslog: a message of RFC 5424 that carries CEF, or JSON.

A UDP datagram or a frame of octet counting (RFC 6587) holds one message as it is; nothing in it can end the line. As
the RFC asks, a text beyond ASCII begins with the mark of UTF-8; ``bom=False`` leaves it out for collectors that stumble
over it. JSON is always ASCII. ``redshank@32473`` names our parameters: 32473 is the number for examples (RFC 5612).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from detector.encodings import cef, native
from detector.encodings.jsontext import dumps, fit, printable
from detector.encodings.parts import LISTED, PRODUCT
from detector.encodings.plain import cut
from detector.event import rfc3339
from detector.finding import Alert, Level
from detector.version import __version__

NAME = "syslog"
LIMIT = 8192
FACILITY = 13
"""Log audit."""
NIL = "-"
BOM = "\ufeff"
SEVERITIES = {Level.informational: 6, Level.low: 5, Level.medium: 4, Level.high: 3, Level.critical: 2}
"""Informational, notice, warning, error, critical (RFC 5424, 6.2.1)."""
HOST = 255
PARAMETER = 60
_ESCAPED = re.compile(r'(["\\\]])')
_BEYOND = re.compile(r"[^!-~]")

Body = Callable[[Alert], str]


def encode(
    alert: Alert, *, body: Body = cef.encode, facility: int = FACILITY, hostname: str = "", bom: bool = True
) -> str:
    """Give an alert as a syslog message without framing; ``hostname`` is that of this machine, if it is to be told."""
    text = body(alert)
    host = _BEYOND.sub("_", hostname)[:HOST] or NIL
    header = f"<{facility * 8 + SEVERITIES[alert.level]}>1 {rfc3339(alert.last_seen)} {host} {PRODUCT} {NIL} alert"
    return f"{header} {_structured(alert)} {BOM if bom and not text.isascii() else ''}{text}"


def json_body(alert: Alert) -> str:
    """Give the native form without samples, and with few Audit-IDs, as JSON in ASCII, as long as CEF may be."""
    brief = msgspec.structs.replace(alert, audit_ids=alert.audit_ids[:LISTED])
    if len(whole := _json(native.encode(brief, samples=False))) <= cef.LIMIT:
        return whole
    return fit(lambda room: _json(native.shrunk(brief, room, samples=False)), cef.LIMIT)


def _json(record: dict[str, object]) -> str:
    return printable(dumps(record)).decode()


def _structured(alert: Alert) -> str:
    ours = {
        "id": alert.id,
        "revision": str(alert.revision),
        "status": alert.status,
        "level": alert.level.name,
        "cluster": cut(alert.cluster, PARAMETER),
        "rule": cut(alert.rule.id, PARAMETER),
    }
    origin = {"software": PRODUCT, "swVersion": __version__}
    return _element("origin", origin) + _element(f"{PRODUCT}@32473", ours)


def _element(name: str, parameters: dict[str, str]) -> str:
    written = (f' {key}="{_ESCAPED.sub(_backslash, value)}"' for key, value in parameters.items())
    return f"[{name}{''.join(written)}]"


def _backslash(match: re.Match[str]) -> str:
    return f"\\{match[1]}"
