"""Hostile text made harmless, for whoever shows or sends it."""

from __future__ import annotations

import pytest

from detector.encodings.plain import cut, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jane@example.com", "jane@example.com"),
        ("Jürgen 山田 🦊", "Jürgen 山田 🦊"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("a\u200bb\ufeff\u2028", "a\\u200bb\\ufeff\\u2028"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 50, "e\u0301\u0301\u0301…"),
    ],
)
def test_hostile_text_is_escaped_and_other_text_is_left_alone(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_every_character_is_printable_or_escaped() -> None:
    assert plain("".join(map(chr, range(0x110000)))).isprintable()


def test_cut_texts_say_so() -> None:
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")
