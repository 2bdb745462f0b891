"""Hostile text made harmless: what an attacker wrote must not act on a terminal, nor look like something else.

User names, URIs and user agents come from clients. Control characters (terminal escapes), formatting characters
(bidirectional overrides, zero-width ones), line breaks and lone surrogates are written as escapes.
"""

from __future__ import annotations

import re

_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U0010ffff]"
)
"""Unicode categories Cc, Cf, Cs, Co, Zl, Zp, and letters and spaces that show as nothing."""
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""Combining marks piled so high that they would paint over other lines."""


def plain(text: str) -> str:
    """Give a text as it may be printed: one line, nothing in it but what can be seen."""
    if text.isascii() and text.isprintable():
        return text
    return _MARKS.sub(r"\1…", _HOSTILE.sub(_escaped, text))


def _escaped(match: re.Match[str]) -> str:
    return (
        match[0].encode("ascii", "backslashreplace").decode() if not match[0].isascii() else f"\\x{ord(match[0]):02x}"
    )


def cut(text: str, longest: int) -> str:
    """Give a text as it may be printed, cut to a number of characters."""
    shown = plain(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
