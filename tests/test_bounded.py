"""BoundedMap: the bound holds, and names seen once cannot push out established ones."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.bounded import BoundedMap


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
