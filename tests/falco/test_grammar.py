"""Falco's conditions: what is read, and that no text does harm."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import RuleError
from detector.sigma.falco.grammar import DEEPEST, parse, unquote
from detector.sigma.falco.tree import And, Check, Const, Expression, Field, Macro, Not, Or, Word

A, B, C = Macro("a"), Macro("b"), Macro("c")
USER = Field("ka.user.name")


def same(value: str, quoted: bool = False) -> Check:
    return Check(USER, "=", (Word(value, quoted),))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", A),
        (" ( a )\n", A),
        ("a and b or c", Or((And((A, B)), C))),
        ("a or b and c", Or((A, And((B, C))))),
        ("(a or b) and c", And((Or((A, B)), C))),
        ("not a and b", And((Not(A), B))),
        ("not not a", A),
        ("a and not(b or c)", And((A, Not(Or((B, C)))))),
        ("a or(b)", Or((A, B))),
        ("organic and android", And((Macro("organic"), Macro("android")))),
        ("ka.user.name=ann", same("ann")),
        ("ka.user.name == ann", same("ann")),
        ("ka.user.name = system:serviceaccount:a:b", same("system:serviceaccount:a:b")),
        ('ka.user.name = "ann b"', same("ann b", True)),
        ("ka.user.name = 'it\\'s'", same("it's", True)),
        ('ka.user.name = "a\\\\b\\n"', same("a\\b\n", True)),
        ("ka.user.name != ann", Check(USER, "!=", (Word("ann"),))),
        ("ka.user.name exists", Check(USER, "exists")),
        ("ka.user.name in ()", Check(USER, "in")),
        ("ka.user.name in (a, 'b c',d)", Check(USER, "in", (Word("a"), Word("b c", True), Word("d")))),
        ("ka.user.name in(a)", Check(USER, "in", (Word("a"),))),
        ("ka.user.name in people", Check(USER, "in", (Word("people"),))),
        ("ka.user.name pmatch (/a)", Check(USER, "pmatch", (Word("/a"),))),
        ("ka.user.name startswith 'x'", Check(USER, "startswith", (Word("x", True),))),
        ("ka.user.name >= 5", Check(USER, ">=", (Word("5"),))),
        ("ka.user.name = anyof (a, b)", Or((same("a"), same("b")))),
        ("ka.user.name != allof (a)", And((Check(USER, "!=", (Word("a"),)),))),
        ("ka.user.name = anyof ()", Const(False)),
        ("jevt.value[/a/b~1c] exists", Check(Field("jevt.value", "/a/b~1c"), "exists")),
        ("ka.uri.param['a b'] exists", Check(Field("ka.uri.param", "a b"), "exists")),
        ("tolower(ka.user.name) = x", Check(Field("ka.user.name", None, ("tolower",)), "=", (Word("x"),))),
        ("ka.user.name = val(ka.verb)", Check(USER, "=", other=Field("ka.verb", None, ("val",)))),
    ],
)
def test_a_condition_is_read_as_falco_reads_it(text: str, tree: Expression) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "a field, the name of a macro, or a bracket at the end"),
        ("a b", "and, or, or the end at 'b'"),
        ("(a", "a closing bracket at the end"),
        ("a and", "and, or, or the end at 'and'"),
        ("ka.verb", "an operator after ka.verb at the end"),
        ("ka.verb like x", "an operator after ka.verb at 'like x'"),
        ("ka.verb =", "a value after = at the end"),
        ("ka.verb in (a", "a closing bracket"),
        ("ka.verb in 'a'", "a list in brackets"),
        ("ka.uri.param[ exists", "an argument in square brackets"),
        ("tolower(5) = x", "a field at '5) = x'"),
        ('ka.verb = "open', "a value after = at '\"open'"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_place(text: str, wanted: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text)
    assert wanted in caught.value.message


@pytest.mark.parametrize("text", ["(" * 10_000, "(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1), "val(" * 10_000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="nested more than"):
        parse(text)


def test_values_of_lists_are_read_as_if_pasted_into_a_condition() -> None:
    assert unquote("'a b'") == Word("a b", True)
    assert unquote("a b") == Word("a b")
    assert unquote("'") == Word("'")


TOKENS = ("(", ")", "[", "]", ",", "=", "!=", ">=", "'", '"', "\\", " ", "\n", "0", "é")
WORDS = (
    "ka.verb",
    "jevt.value[/a/0]",
    "ka.uri.param[",
    "macro",
    "and",
    "or",
    "not",
    "in",
    "exists",
    "contains ",
    "pmatch",
)
PIECES = [*TOKENS, *WORDS, "not(", "anyof", "tolower("]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(RuleError):
        parse(text)
