"""What tokens look like in a text, and how they are blanked: JSON Web Tokens, credentials of HTTP, assignments.

One table says it all. Each row has the stems (pieces of text, as they stand in UTF-8 and in JSON) of which a text with
such a token must have one, so that a single pass of an Aho-Corasick automaton rejects nearly everything, and the
expression that finds the token and keeps what stands before it. Expressions run on RE2, which is linear in the text.

A value ends where a shell would end a word: what follows a token in a command is not hidden from rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import re2
from ahocorasick_rs import BytesAhoCorasick, MatchKind

BLANK = "[redacted]"
MAX_DEPTH = 100
"""Levels of nesting that are looked at; what lies deeper is left out."""
WINDOW = 1 << 16
"""Bytes searched at once: all matches of a search are in memory together."""
_KEPT = rf"\1{BLANK}".encode()
_PERCENT = "%(?:25)*"
"""The sign that begins an encoded byte; in the address of another address it is encoded itself, maybe twice."""
_SPACE = rf"(?:\s|\+|{_PERCENT}20)"
_RUN = "[A-Za-z0-9_-]"
_BASE64 = "[A-Za-z0-9+/=]"
_BREAK = r"(?:\s|\\+[nr])"
_QUOTE = r"""(?:\\*["'])"""


Bytes = bytes | memoryview


class Shape:
    """One kind of token: the stems it needs, and its expression, whose first group is kept."""

    def __init__(self, stems: tuple[str, ...], expression: str) -> None:
        self.stems = [stem.encode() for stem in stems]
        self.expression = re2.compile(expression.encode())


def _cased(word: str) -> str:
    """Give an expression for a word as people write it: token, Token, TOKEN."""
    return f"(?:[{word[0]}{word[0].upper()}]{word[1:]}|{word.upper()})"


def _both(*words: str) -> tuple[str, ...]:
    return tuple(written for word in words for written in (word, word.upper()))


_NAMES = ("token", "password", "passwd", "secret", "authorization")
_KEYS = ("api", "access", "secret", "private")
"""Names of what holds a secret; the second ones with "key" behind them."""
NAME = "|".join([*map(_cased, _NAMES), f"(?:{'|'.join(map(_cased, _KEYS))})[_-]?{_cased('key')}"])
# Rare pieces make the search fast: it looks at the first three letters of each stem.
_ENDINGS = (*_both("en", "rd", "wd", "et", "ey"), "zation", "ZATION")
_TELLING = (*_both("oken", "sword", "sswd", "ecret", "zation"), "ey", "KEY")


def _shapes(sign: str, value: str) -> tuple[Shape, ...]:
    """Give the table, with what a credential and a value are made of."""
    given = rf"[\"']?(?:\s|:|=|\+|{_PERCENT}(?:20|3[aA]|3[dD]|22|27))+[\"']?"
    return (
        # RFC 7519 and RFC 7516: three parts, or five.
        Shape(("eyJ",), rf"()eyJ{_RUN}{{8,}}\.{_RUN}{{4,}}(?:\.{_RUN}*){{1,3}}"),
        # RFC 6750, RFC 7617.
        Shape(_both("earer"), rf"({_cased('bearer')}{_SPACE}+){sign}{{8,}}"),
        Shape(_both("asic"), rf"({_cased('authorization')}{given}{_cased('basic')}{_SPACE}+){sign}+"),
        Shape(
            tuple(f"{ending}{equals}" for ending in _ENDINGS for equals in "=%"),
            rf"((?:{NAME})(?:=|{_PERCENT}3[dD])(?:[\"']|{_PERCENT}2[27])?){value}",
        ),
        # RFC 7468: its lines, and the last one, which is short, where the end follows.
        Shape(
            ("TE KEY-",),
            rf"(-----BEGIN [A-Z ]*PRIVATE KEY-----)(?:{_BREAK}*{_BASE64}{{32,}})+"
            rf"(?:{_BREAK}*{_BASE64}*{_BREAK}*-----END)?",
        ),
        # The key of a user in a kubeconfig, in YAML or in JSON.
        Shape(("key-data",), rf"(client-key-data{_QUOTE}?\s*:\s*{_QUOTE}?){_BASE64}+"),
    )


_ENDS = r"\s&#;|<>()$`\"'\\"
TEXT = _shapes("[A-Za-z0-9._~+/=%-]", f"[^{_ENDS}]+")
# A plus is a space here; of encoded bytes only those go on that would go on as they are.
URI = _shapes(
    rf"(?:[A-Za-z0-9._~/=-]|{_PERCENT}(?:2[bBdDeEfF]|3[dD]|5[fF]|7[eE]))",
    rf"(?:[^{_ENDS}+%]|%[G-Zg-z]|{_PERCENT}(?:2[1aAbBcCdDeEfF]|3[0-9aAdDfF]|5[0-9abdefABDEF]|6[1-9a-fA-F]|"
    r"7[0-9abdefABDEF]|[489a-fA-F][0-9a-fA-F]))+",
)

STEMS = tuple(stem for shape in TEXT for stem in shape.stems)
CARRIERS = (b'"Secret', b'"TokenRe', rb"\u00")
"""What a body must have that holds a carrier by its kind; or letters in disguise, as JSON allows."""
SURE_STEMS = (*(stem for stem in STEMS if not stem.endswith(b"%")), *CARRIERS)
"""What is enough to take a body apart. Addresses, in which signs are encoded, are not looked for in bodies."""
PAIRS = (*(f'{ending}"'.encode() for ending in _TELLING), b"last-applied")
"""What a body must have that holds a variable with a telling name, maybe in the text of a last-applied annotation.

Many bodies have one of these ("key" of a toleration, "token" of a volume), so `_PAIR` is asked, too.
"""
BODY_STEMS = (*SURE_STEMS, *PAIRS)
# Within the annotation quotes are escaped, and so are the ends of lines.
_PAIR = re2.compile(rf'name\\*"[\s\\nrt]*:[\s\\nrt]*"(?:[^"\\]|\\.)*(?:{NAME})\\*"'.encode())
_OVERLAP = max(map(len, (*STEMS, *BODY_STEMS))) - 1


def _finder(stems: Sequence[bytes]) -> Callable[[Bytes], list[tuple[int, int, int]]]:
    find: Any = BytesAhoCorasick(stems, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes  # stubs say bytes
    made: Callable[[Bytes], list[tuple[int, int, int]]] = find
    return made


_find, _find_in_body = _finder(STEMS), _finder(BODY_STEMS)


def _windows(data: Bytes) -> Iterator[tuple[int, Bytes]]:
    for start in range(0, len(data), WINDOW - _OVERLAP):
        yield start, data[start : start + WINDOW]


def found(data: Bytes) -> Iterator[int]:
    """Give where in texts, as UTF-8, there may be a token; a place may come twice."""
    for start, window in _windows(data):
        for _, first, _ in _find(window):
            yield start + first


def suspect(data: Bytes) -> bool:
    """Tell whether there can be a token in a text or in JSON, as UTF-8: false for nearly all."""
    return any(_find(window) for _, window in _windows(data))


def suspect_body(data: Bytes) -> bool:
    """Tell whether there can be a token, or a carrier of secrets, in a body of JSON."""
    windows = ((0, data),) if len(data) <= WINDOW else _windows(data)
    found_stems = {stem for _, window in windows for stem, _, _ in _find_in_body(window)}
    return bool(found_stems) and (min(found_stems) < len(SURE_STEMS) or _PAIR.search(data) is not None)


def scrub(text: str, shapes: tuple[Shape, ...] = TEXT) -> str:
    """Blank the tokens in a text; for that of a URI give `URI`."""
    if text.isidentifier():  # nothing that separates the parts of a token, as in most keys and words
        return text
    data = text.encode("utf-8", "surrogatepass")
    if not suspect(data):
        return text
    for shape in shapes:
        if any(stem in data for stem in shape.stems):
            data = shape.expression.sub(_KEPT, data)
    return data.decode("utf-8", "surrogatepass")


def scrub_all(value: Any) -> Any:
    """Give a JSON value with the tokens in all its texts blanked; what lies deeper than `MAX_DEPTH` is left out."""
    return _scrub_all(value, MAX_DEPTH)


def _scrub_all(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if not depth:
        return None
    if isinstance(value, dict):
        return {
            scrub(key): scrub(item) if item.__class__ is str else _scrub_all(item, depth - 1)
            for key, item in value.items()
        }
    return [_scrub_all(item, depth - 1) for item in value] if isinstance(value, list) else value
