"""Batches in several requests: each alert has one fate, and no other alert's."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.sinks.base import Failure, RefusedError, RetryError
from detector.sinks.requests import Places, in_groups


class Receiver:
    """Refuses some places, and cannot be reached when it comes to one."""

    def __init__(self, refused: frozenset[int] = frozenset(), broken: int | None = None) -> None:
        self.refused, self.broken = refused, broken
        self.taken: list[int] = []

    async def post(self, places: Places) -> list[Failure]:
        if self.broken in places:
            raise RetryError("busy")
        if self.refused & set(places):
            raise RefusedError("no")
        self.taken += places
        return []

    def send(self, groups: list[list[int]]) -> list[Failure]:
        return asyncio.run(in_groups(groups, self.post))


def test_groups_are_sent_in_order() -> None:
    receiver = Receiver()
    assert receiver.send([[0, 2], [1]]) == []
    assert receiver.taken == [0, 2, 1]


@given(st.integers(1, 40), st.data())
def test_exactly_the_refused_fail_however_they_are_grouped(count: int, data: st.DataObject) -> None:
    places = data.draw(st.permutations(range(count)))
    cut = data.draw(st.integers(0, count - 1))
    refused = data.draw(st.frozensets(st.integers(0, count - 1)))
    receiver = Receiver(refused)
    failures = receiver.send([group for group in (places[:cut], places[cut:]) if group])
    assert {failure.place for failure in failures} == refused
    assert all(failure.permanent for failure in failures)
    assert sorted(receiver.taken) == sorted(set(range(count)) - refused), "each once"


def test_what_comes_after_a_breakdown_is_to_be_sent_again() -> None:
    receiver = Receiver(broken=2)
    failures = receiver.send([[0], [1], [2], [3, 4]])
    assert receiver.taken == [0, 1]
    assert failures == [Failure(place, "busy", permanent=False) for place in (2, 3, 4)]


def test_a_breakdown_at_once_is_the_destination_s() -> None:
    with pytest.raises(RetryError, match="busy"):
        Receiver(broken=0).send([[0], [1]])
