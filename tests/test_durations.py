"""Spans of time: what is read, and how it is written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from detector.durations import Duration

ADAPTER: TypeAdapter[timedelta] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1.5s", 1.5), ("10m", 600), ("12h", 43_200), (" 3d ", 259_200), ("2w", 1_209_600)],
)
def test_a_number_and_a_unit_are_a_duration_and_written_so_again(text: str, seconds: float) -> None:
    value = ADAPTER.validate_python(text)
    assert value == timedelta(seconds=seconds)
    assert ADAPTER.dump_python(value) == text.strip()


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1 s", "1h30m", "٣d", "1e3s", "9999999s", "P1D"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match="30s, 10m"):
        ADAPTER.validate_python(text)


def test_the_longest_duration_has_a_place() -> None:
    assert ADAPTER.validate_python("999999w") > timedelta(days=365)
