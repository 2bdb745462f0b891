"""Hostile text made harmless: what an attacker wrote must not act on a terminal, nor look like something else.

User names, URIs and user agents come from clients. Control characters (terminal escapes), formatting characters
(bidirectional overrides, zero-width ones), line breaks, odd blanks and lone surrogates are written as escapes.
"""

from __future__ import annotations

import re

UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)
"""Letters and marks that show as nothing; `str.isprintable` is False for everything else that does."""
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILE = re.compile(f"({_MARK}{{3}}){_MARK}+")
"""Combining marks piled so high that they would paint over other lines."""


def plain(text: str) -> str:
    """Give a text as it may be printed: one line, nothing in it but what can be seen."""
    if text.isascii() and text.isprintable():
        return text
    shown = (character if _visible(character) else _escaped(character) for character in text)
    return _PILE.sub(r"\1…", "".join(shown))


def _visible(character: str) -> bool:
    return character.isprintable() and character not in UNSEEN


def _escaped(character: str) -> str:
    return ascii(character)[1:-1] if not character.isascii() else f"\\x{ord(character):02x}"


def cut(text: str, longest: int) -> str:
    """Give a text as it may be printed, cut to a number of characters."""
    shown = plain(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
