"""Back-off and the rate limit."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from detector.sinks.pacing import BASE, CAP, PATIENCE, RateLimit, backoff
from tests.sinks.doubles import FakeClock


def test_the_longest_wait_doubles_up_to_five_minutes() -> None:
    waits = [backoff(failures, jitter=lambda: 1.0) for failures in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert backoff(10**9, jitter=lambda: 1.0) == CAP == 300


def test_the_wait_is_anything_up_to_the_longest() -> None:
    waits = [backoff(5) for _ in range(2000)]
    assert min(waits) < 1.6
    assert max(waits) > 14.4
    assert 7 < sum(waits) / len(waits) < 9


def test_a_destination_that_names_a_time_is_obeyed_within_reason() -> None:
    assert backoff(1, after=77) == 77
    assert backoff(10, after=5, jitter=lambda: 1.0) == CAP
    assert backoff(1, after=10**12) == PATIENCE
    assert 0 <= backoff(1, after=-5) <= BASE


@given(st.integers(min_value=-5, max_value=10**6), st.none() | st.floats(allow_nan=False))
def test_no_input_gives_a_wait_that_makes_no_sense(failures: int, after: float | None) -> None:
    assert 0 <= backoff(failures, after) <= PATIENCE


def test_messages_are_spread_evenly_and_idle_time_is_not_saved_up() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        limit = RateLimit(2.0, clock)
        times = []
        for _ in range(4):
            await limit.take(1)
            times.append(clock.time)
        assert times == [0, 0.5, 1.0, 1.5]
        clock.time = 100
        await limit.take(10)
        await limit.take(1)
        assert clock.time == 105

    asyncio.run(scenario())


def test_without_a_limit_nothing_waits() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        await RateLimit(None, clock).take(10**9)
        assert clock.time == 0

    asyncio.run(scenario())
