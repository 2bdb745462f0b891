"""Bounds hold, and names seen once cannot push out established ones."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.bounded import BoundedMap, fit


def test_spam_evicts_only_spam() -> None:
    names: BoundedMap[int] = BoundedMap(10)
    for name in range(10):
        names.put(("known", name), name)
        names.put(("known", name), name)
    for name in range(1000):
        names.put(("spam", name), name)
    assert all(("known", name) in names for name in range(10))
    assert len(names) <= 12
    assert names.evicted == 998


def test_the_second_time_promotes_and_the_least_recently_used_goes() -> None:
    names: BoundedMap[str] = BoundedMap(2)
    for name in "aabbcc":
        names.put(name, name)
    assert [key for key, _ in names.items()] == ["b", "c"]


@given(st.lists(st.tuples(st.sampled_from(["put", "pop"]), st.integers(0, 30))))
def test_the_bound_holds_and_dump_restores(steps: list[tuple[str, int]]) -> None:
    names: BoundedMap[int] = BoundedMap(4)
    for step, key in steps:
        if step == "put":
            names.put((str(key), key), key)
        else:
            names.pop((str(key), key))
    assert len(names) <= 5
    copy: BoundedMap[int] = BoundedMap(4)
    copy.load(msgspec.msgpack.decode(msgspec.msgpack.encode(names.dump())))
    assert list(copy.items()) == list(names.items())


def test_a_map_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        BoundedMap(0)


def weighed() -> BoundedMap[list[int]]:
    return BoundedMap(100, 40, len)


def test_what_weighs_too_much_together_evicts_the_least_recently_used() -> None:
    names = weighed()
    for name in "aabbccdd":
        value = names.get(name) or []
        value += [0] * 8
        names.put(name, value, 8)
    assert [(name, len(value)) for name, value in names.items()] == [("c", 16), ("d", 16)]
    assert (names.settled, names.evicted) == (32, 2)


def test_heavy_spam_evicts_only_spam_and_one_value_may_be_too_heavy() -> None:
    names = weighed()
    for _ in range(2):
        names.put("known", [0] * 40)
    for number in range(50):
        names.put(number, [0] * 9)
    names.put("huge", [0] * 999)
    assert [name for name, _ in names.items()] == ["known", "huge"]
    assert (names.settled, names.fresh) == (40, 999)


@given(st.lists(st.tuples(st.sampled_from(["put", "put", "pop"]), st.integers(0, 9), st.integers(0, 12))))
def test_weights_are_those_of_what_is_there(steps: list[tuple[str, int, int]]) -> None:
    names = weighed()
    for step, key, size in steps:
        if step == "pop":
            names.pop(key)
            continue
        value = names.get(key)
        before, value = (0, []) if value is None else (len(value), value)
        value[:] = [0] * size
        names.put(key, value, size - before)
    assert names.settled == sum(map(len, names.established.values()))
    assert names.fresh == sum(map(len, names.probation.values()))
    assert names.settled <= 40 or len(names.established) == 1
    assert names.fresh <= 10 or len(names.probation) == 1
    copy = weighed()
    copy.load(msgspec.msgpack.decode(msgspec.msgpack.encode(names.dump())), list)
    assert (list(copy.items()), copy.settled, copy.fresh) == (list(names.items()), names.settled, names.fresh)


@pytest.mark.parametrize("text", ["x" * 300, "\U0001f600" * 300, "ü" * 300, "x" + "ü" * 300, "\ud800" * 300])
def test_a_text_is_cut_between_characters(text: str) -> None:
    assert 252 < len(fit(text, 256).encode()) <= 256
    assert fit("ü" * 9, 256) == "ü" * 9
