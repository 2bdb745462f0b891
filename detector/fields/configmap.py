"""What ConfigMaps should not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from detector.event import Event
from detector.fields.body import dig, mapping
from detector.fields.registry import derived
from detector.fields.request import key, stated

_MAX_ENTRIES, _MAX_NAME, _MAX_LENGTH = 1_000, 253, 65_536
_ENDING = (
    r"(?:password|passwd|pwd|passphrase|secret_?key|secret_?access_?key|access_?key(?:_?id)?|api_?key|private_?key|"
    r"client_?secret|(?:access|auth|bearer|refresh|api|bot|vault|github|gitlab|slack|npm)_?token)"
)
_NAME = re.compile(rf"[\w.-]*{_ENDING}", re.IGNORECASE)
# What is no credential but says where it is, or that there is none: ${X}, {{ x }}, <x>, a path, code, a switch.
_ELSEWHERE = re.compile(
    r"[$%<{(/~.!*&|\[]|(?:vault|secret|arn|file|env):|ref\+|(?:os|process|system|config)\.|(?:get)?env\b|https?://[^@\s]*$|\d*$"
    r"|(?:true|false|yes|no|on|off|none|null|nil|required|optional|enabled|disabled|prompt|changeme|x+)$",
    re.IGNORECASE,
)
# In a file: name, sign, value (quoted or not), on a line of its own or among others (Server=a;Password=b).
_LINE = re.compile(
    rf"(?:^|(?<=[^\s;])[;&,{{])[ \t]*[\"']?[\w.-]{{0,60}}?{_ENDING}[\"']?[ \t]*[:=]>?[ \t]*[\"']?([^\s\"',;#]{{4,}})",
    re.IGNORECASE | re.MULTILINE,
)
_SHAPES = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}"
    r"|\bgh[pousr]_[0-9A-Za-z]{36}"
    r"|\bglpat-[0-9A-Za-z_-]{20}"
    r"|\bxox[abprs]-[0-9A-Za-z-]{10}"
    r"|\bsk_live_[0-9A-Za-z]{16}"
    r"|\beyJ[0-9A-Za-z_-]{8,2048}\.eyJ[0-9A-Za-z_-]{8,2048}\."
    r"|\b[a-z][a-z0-9+]{1,20}://[^\s:/@${<]{1,64}:[^\s:/@${<]{3,128}@"
)
"""Private keys, keys of AWS, Google, GitHub, GitLab, Slack and Stripe, JSON Web Tokens, addresses with a password."""


def _holds(name: str, value: str) -> bool:
    """Say whether an entry of a ConfigMap (the name of a variable or of a file) carries a credential."""
    value = value[:_MAX_LENGTH]
    if _SHAPES.search(value):
        return True
    if _NAME.fullmatch(name[:_MAX_NAME]) and _one_line(value) and not _ELSEWHERE.match(value.strip()):
        return True
    return any(not _ELSEWHERE.match(line[1]) for line in _LINE.finditer(value))


def _one_line(value: str) -> bool:
    return len(value.split(None, 1)) == 1


def _entries(body: Any) -> Iterator[tuple[str, str]]:
    for name, value in islice(mapping(dig(body, "data")).items(), _MAX_ENTRIES):
        if isinstance(value, str):
            yield name, value


@derived("configmap.credentials", "list of text")
def configmap_credentials(event: Event) -> list[str] | None:
    """The keys of a written ConfigMap whose value looks like a credential, not like a reference to one.

    By shape (private keys, tokens, addresses with a password) or by name (password, apiKey ...), also in the lines of a
    file. The values are looked at as far as 65,536 characters. Empty when a body states none; null when there is no
    body and for other requests.
    """
    body = stated(event) if key(event) == "configmaps" else None
    return None if body is None else [name for name, value in _entries(body) if _holds(name, value)]
