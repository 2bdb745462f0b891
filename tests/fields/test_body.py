"""Patches turned into the object they state."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import orjson
import pytest

from detector.fields.body import MAX_DEPTH, elements, is_index, leaves, partial_object, pointer


def add(path: str, value: Any, op: str = "add") -> dict[str, Any]:
    return {"op": op, "path": path, "value": value}


def test_operations_on_one_index_are_one_element() -> None:
    operations = [
        add("/c/0/image", "a"),
        add("/c/1/image", "b", "replace"),
        add("/c/0/securityContext/privileged", True),
    ]
    assert partial_object(operations) == {
        "c": [{"image": "a", "securityContext": {"privileged": True}}, {"image": "b"}],
    }


def test_what_is_added_at_a_taken_index_hides_nothing() -> None:
    operations = [add("/c/0", {"name": "evil"}), add("/c/0", {"name": "decoy"}), add("/c/0/image", "x")]
    assert partial_object(operations) == {"c": [{"name": "evil"}, {"name": "decoy", "image": "x"}]}


def test_a_dash_appends() -> None:
    assert partial_object([add("/s/-", 1), add("/s/-", 2)]) == {"s": [1, 2]}


def test_later_operations_reach_into_earlier_values() -> None:
    operations = [add("/spec", {"c": [{"name": "a"}]}), add("/spec/c/0/image", "x"), add("/spec/c/-", {"name": "b"})]
    assert partial_object(operations) == {"spec": {"c": [{"name": "a", "image": "x"}, {"name": "b"}]}}


def test_a_later_replacement_wins() -> None:
    assert partial_object([add("/spec", {"a": 1}), add("/spec", {"b": 2}, "replace")]) == {"spec": {"b": 2}}


def test_what_is_removed_is_null() -> None:
    operations = [{"op": "remove", "path": "/metadata/labels/a~1b~0c"}, {"op": "remove", "path": "/rules/1"}]
    assert partial_object(operations) == {"metadata": {"labels": {"a/b~c": None}}, "rules": [None]}


def test_the_empty_path_is_the_whole_object() -> None:
    assert partial_object([add("", {"spec": {}}), add("", "text")]) == {"spec": {}}


@pytest.mark.parametrize(
    "operation",
    [
        None,
        3,
        [],
        {},
        {"op": "add"},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "add", "path": 4},
        {"op": [], "path": "/a"},
    ],
)
def test_malformed_and_passive_operations_state_nothing(operation: Any) -> None:
    assert partial_object([operation]) == {}


def test_ten_thousand_operations_are_quick() -> None:
    operations = [add(f"/c/{number}" + "/x" * (MAX_DEPTH - 2), 1) for number in range(10_000)]
    start = perf_counter()
    assert len(partial_object(operations)["c"]) == 10_000
    assert perf_counter() - start < 5


def test_pointers_are_cut_at_the_greatest_depth() -> None:
    assert len(pointer("/a" * 1_000)) == MAX_DEPTH


@pytest.mark.parametrize(("segment", "index"), [("0", True), ("-", True), ("", False), ("1a", False), ("٣", False)])
def test_indexes(segment: str, index: bool) -> None:
    assert is_index(segment) is index
    assert not is_index("9" * 5_000)


def test_leaves_are_in_the_documents_order_and_survive_any_depth() -> None:
    assert list(leaves({"a": {"b": 1, "c": []}, "d": [{"e": 2}, 3]})) == ["a.b", "a.c", "d.e", "d"]
    deep = orjson.loads(b'{"k":' * 500 + b"1" + b"}" * 500)
    assert list(leaves(deep)) == [".".join("k" * MAX_DEPTH)]
    assert list(leaves(orjson.loads(b"[" * 500 + b"]" * 500))) == [""]


def test_elements_leave_out_what_a_patch_deletes() -> None:
    assert elements([{"name": "a"}, {"name": "b", "$patch": "delete"}, "c", None]) == [{"name": "a"}]
    assert elements({"name": "a"}) == []
