"""Samples: what of an event is kept to be shown, and how much."""

from __future__ import annotations

import orjson
import pytest

from detector.alerts.sample import MAX_SAMPLE, written
from tests.support import event


def test_the_bodies_of_a_huge_event_are_left_out() -> None:
    assert "requestObject" not in orjson.loads(written(event(requestObject={"a": "x" * 20_000})))
    assert orjson.loads(written(event(requestObject={"a": "x"})))["requestObject"] == {"a": "x"}


def test_bodies_are_left_out_where_there_is_little_room() -> None:
    assert "requestObject" not in orjson.loads(written(event(requestObject={"a": "x"}), bodies=False))


def test_long_names_cost_a_sample_its_bodies_before_its_names() -> None:
    shown = orjson.loads(written(event(userAgent="x" * 9_000, requestObject={"a": "x" * 9_000})))
    assert (len(shown["userAgent"]), "requestObject" in shown) == (9_000, False)


HUGE = "\U0001f600" * 2_000
MANY = {f"{number}{HUGE}": [f"{item}{HUGE}" for item in range(40)] for number in range(40)}


@pytest.mark.parametrize("bodies", [True, False])
def test_no_event_is_too_large_for_a_sample(bodies: bool) -> None:
    user = {"username": HUGE, "groups": [HUGE] * 40, "extra": MANY}
    huge = event(
        userAgent=HUGE, requestURI=HUGE, user=user, impersonatedUser=user, annotations=dict.fromkeys(MANY, HUGE)
    )
    assert len(written(huge, bodies=bodies)) <= MAX_SAMPLE
    assert orjson.loads(written(huge, bodies=bodies))["verb"] == "get"
