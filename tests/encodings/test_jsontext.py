"""JSON texts: written whatever they hold, harmless on a terminal, and never larger than allowed."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.encodings.jsontext import ROOMS, clean, dumps, fit, printable, shrink, size
from tests.encodings.making import TEXTS, VALUES


@pytest.mark.parametrize("text", ["é\u202e\x7f🦊", "plain", "\x9b"])
def test_printed_json_is_ascii_and_means_the_same(text: str) -> None:
    printed = printable(dumps({"a": text}))
    assert printed.isascii()
    assert b"\x7f" not in printed
    assert json.loads(printed) == {"a": text}


def test_lone_surrogates_do_not_stop_the_writer() -> None:
    assert json.loads(dumps({"a": "\ud800"})) == {"a": "\ud800"}


@given(TEXTS, st.sampled_from(ROOMS))
def test_a_clean_text_is_unicode_and_as_long_as_allowed(text: str, room: int) -> None:
    cleaned = clean(text, room)
    cleaned.encode()
    assert len(cleaned) <= room
    assert len(text) > room or len(cleaned) == len(text)


@given(VALUES, st.sampled_from(ROOMS))
def test_any_value_becomes_json_when_it_shrinks(value: Any, room: int) -> None:
    orjson.dumps(shrink(value, room))


def test_a_value_that_is_small_already_stays_as_it_is() -> None:
    value = {"a": ["é", 1, None, True, 1.5], "b": {"c": "x" * 64}}
    assert shrink(value, 64) == value


def test_documents_are_told_in_full_where_they_fit_and_get_less_room_where_not() -> None:
    text = "x" * 3000
    assert fit(lambda room: {"a": clean(text, room)}, 5000) == {"a": text}
    assert fit(lambda room: clean(text, room), 1500) == clean(text, 1024)


def test_what_cannot_be_json_is_larger_than_any_limit() -> None:
    assert size({"a": "\ud800"}) > size({"a": "x" * 1_000_000})
    assert (size("é"), size({"é": 1})) == (2, 8)
