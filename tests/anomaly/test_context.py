"""Context: counts, novelty, and the bound on both."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detector.anomaly.context import MOST_FRESH, MOST_KNOWN, UNIT, Context

steps = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.integers(0, 2)), max_size=200)


@given(steps)
def test_probabilities_and_novelty_never_exceed_one_together(told: list[tuple[str, int, int]]) -> None:
    context, bucket = Context(), 0
    for value, later, request in told:
        bucket += later
        context.learn(value, bucket, request)
    total = sum(context.probability(value) for value in context.known) + context.novelty()
    assert total <= 1 + 1e-9
    assert context.total == sum(cell >> 32 for cell in context.known.values())
    assert context.once == sum(cell >> 32 for cell in context.known.values() if cell >> 32 <= UNIT)


@given(steps)
def test_a_restored_context_is_the_same(told: list[tuple[str, int, int]]) -> None:
    context = Context()
    for number, (value, _, request) in enumerate(told):
        context.learn(value, number, request)
    other = Context.restored(msgspec.msgpack.decode(msgspec.msgpack.encode(context.dump())))
    assert other.dump() == context.dump()
    assert (other.total, other.once) == (context.total, context.once)


def test_a_value_is_known_when_it_comes_again_in_another_bucket_or_request() -> None:
    context = Context()
    context.learn("x", 1, 7)
    context.learn("x", 1, 7)
    assert not context.known
    context.learn("x", 1, 8)
    assert "x" in context.known
    context.learn("y", 1, 7)
    context.learn("y", 2, 7)
    assert "y" in context.known


def test_it_is_bounded_and_keeps_what_comes_often() -> None:
    context = Context()
    for bucket in range(50):
        context.learn("often", bucket, 0)
    for number in range(10 * MOST_KNOWN):
        context.learn(f"name-{number}", 100, number)
        context.learn(f"name-{number}", 101, number)
    assert context.size <= MOST_KNOWN + MOST_FRESH
    assert "often" in context.known


def test_three_half_lives_forget_what_was_seen_once() -> None:
    context = Context()
    for bucket in (1, 2):
        context.learn("once", bucket, 0)
    context.halve()
    context.halve()
    assert "once" in context.known
    context.halve()
    assert not context.known
