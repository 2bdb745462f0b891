"""Paths of your own: what lies on one is blanked, what is beside it stays, and one that cannot be is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.event import Event
from detector.redaction import BLANK, Redaction
from detector.redaction.paths import ONE_KEY_AFTER, blank_path, parse
from detector.sigma import path as rules
from tests.support import event

ENV = "requestObject.spec.template.spec.containers.env.value"
DEPLOYMENT = {"containers": [{"name": "a", "env": [{"name": "A", "value": "b"}, {"name": "C"}]}, {"image": "x"}]}
BLANKED = {"containers": [{"name": "a", "env": [{"name": "A", "value": BLANK}, {"name": "C"}]}, {"image": "x"}]}


def blanked(path: str, **attributes: Any) -> Event:
    one = event(**attributes)
    Redaction([path]).blank([one])
    return one


def test_a_path_goes_through_lists() -> None:
    body = {"spec": {"template": {"spec": DEPLOYMENT}}}
    assert blanked(ENV, requestObject=body).request == {"spec": {"template": {"spec": BLANKED}}}


NOTES = {"metadata": {"annotations": {"example.com/a.b": "x", "example": "y"}}}
BODIES: list[tuple[str, Any, Any]] = [
    ("data.*", {"data": {"a.b": "x", "c": 1}, "d": "e"}, {"data": {"a.b": BLANK, "c": BLANK}, "d": "e"}),
    (
        "metadata.annotations.example.com/a.b",
        NOTES,
        {"metadata": {"annotations": {"example.com/a.b": BLANK, "example": "y"}}},
    ),
    (
        "spec",
        {"spec": {"pin": 4711, "on": True, "none": None, "all": [1]}},
        {"spec": {"pin": BLANK, "on": True, "none": None, "all": BLANK}},
    ),
    ("spec.a", {"spec": "a text"}, {"spec": "a text"}),
    ("spec.a", "a text", "a text"),
    ("items.a", {"items": [[{"a": "x"}], {"a": ["x", "y"]}]}, {"items": [[{"a": BLANK}], {"a": [BLANK, BLANK]}]}),
]


@pytest.mark.parametrize(("path", "body", "clean"), BODIES)
@pytest.mark.parametrize(("root", "shown"), [("requestObject", "request"), ("responseObject", "response")])
def test_what_lies_on_a_path_is_blanked(path: str, body: Any, clean: Any, root: str, shown: str) -> None:
    one = blanked(f"{root}.{path}", objectRef={"resource": "configmaps"}, **{root: body})
    assert getattr(one, shown) == clean


PATCHES: list[tuple[str, Any, Any]] = [
    ("/spec/template/spec/containers/0/env/0/value", "x", BLANK),
    ("/spec/template/spec/containers/-", DEPLOYMENT["containers"][0], BLANKED["containers"][0]),
    ("/spec/template/spec", DEPLOYMENT, BLANKED),
    ("", {"spec": {"template": {"spec": DEPLOYMENT}}}, {"spec": {"template": {"spec": BLANKED}}}),
    ("/spec/template/spec/containers/0/env/0/value/deeper", "x", BLANK),
    ("/spec/template/spec/containers/0/image", "x", "x"),
    ("/metadata/labels/a", "x", "x"),
]


@pytest.mark.parametrize(("pointer", "value", "clean"), PATCHES)
def test_in_a_patch_the_pointer_is_part_of_the_way(pointer: str, value: Any, clean: Any) -> None:
    patch = [{"op": "test", "path": "/a"}, {"op": "add", "path": pointer, "value": value}]
    assert blanked(ENV, objectRef={"resource": "deployments"}, requestObject=patch).request == [
        patch[0],
        {"op": "add", "path": pointer, "value": clean},
    ]


ATTRIBUTES: list[tuple[str, dict[str, Any]]] = [
    ("annotations.example.com/token", {"annotations": {"example.com/token": "x"}}),
    ("annotations.*", {"annotations": {"example.com/token": "x"}}),
    ("annotations", {"annotations": {"example.com/token": "x"}}),
    ("user.username", {"user": {"username": "x"}}),
    ("user.groups", {"user": {"username": "jane", "groups": ["x"]}}),
    ("user.extra.example.com/a", {"user": {"username": "jane", "extra": {"example.com/a": ["x"]}}}),
    ("impersonatedUser.extra", {"impersonatedUser": {"username": "jane", "extra": {"example.com/a": ["x"]}}}),
    ("sourceIPs", {"sourceIPs": ["x"]}),
    ("userAgent", {"userAgent": "x"}),
    ("objectRef.name", {"objectRef": {"resource": "pods", "name": "x"}}),
    ("responseStatus.message", {"responseStatus": {"message": "x", "code": 403}}),
]


@pytest.mark.parametrize(("path", "attributes"), ATTRIBUTES)
def test_attributes_are_blanked_and_the_event_can_still_be_read(path: str, attributes: dict[str, Any]) -> None:
    one = blanked(path, **attributes)
    assert '"x"' not in orjson.dumps(one.as_dict()).decode()
    assert BLANK in orjson.dumps(one.as_dict()).decode()
    assert msgspec.json.decode(msgspec.json.encode(one), type=Event) == one


@pytest.mark.parametrize("path", [path for path, _ in ATTRIBUTES])
def test_what_is_not_there_is_not_blanked(path: str) -> None:
    empty = Event()
    Redaction([path]).blank([empty])
    assert empty == Event()


BAD = [
    ("", "empty part"),
    ("requestObject..a", "empty part"),
    ("requestObject", "names? a part|whole body"),
    ("spec.containers", "begins with none of requestObject"),
    ("verb", "begins with none of"),
    ("stageTimestamp", "begins with none of"),
    ("responseStatus.code", "names no text: responseStatus has status, reason, message"),
    ("objectRef.resourc", "names no text: objectRef has resource"),
    ("user", "names no text: user has username"),
    ("userAgent.a", "has no parts"),
    ("user.username.a", "only text"),
]


@pytest.mark.parametrize(("path", "said"), BAD)
def test_a_path_that_cannot_be_is_refused_with_words(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Redaction([path])


def test_nesting_beyond_what_can_be_written_costs_only_itself() -> None:
    one = event(objectRef={"resource": "pods"})
    one.requestObject = msgspec.Raw(b'{"a":"x","b":' + b"[" * 600 + b"]" * 600 + b"}")
    Redaction(["requestObject.a"]).blank([one])
    assert one.request["a"] == BLANK
    assert one.request["b"] != BLANK


def test_the_rest_is_one_key_where_it_is_for_rules() -> None:
    assert rules.ONE_KEY_AFTER == ONE_KEY_AFTER
    for name in ("requestObject.metadata.labels.a.b/c", "user.extra.a.b", "requestObject.spec.a"):
        (path,) = rules.parse(name)
        assert parse(name) == (path.root, *path.keys)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) |
       st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=12))  # fmt: skip
def test_no_value_on_a_path_is_left(tree: Any) -> None:
    left = rules.walk(blank_path({"a": {"b": tree}}, ("a", "b")), ("a", "b"))
    assert "[redacted]" in str(left) or not any(
        isinstance(leaf, str | int) for leaf in left if not isinstance(leaf, bool)
    )
    assert all(leaf == BLANK or isinstance(leaf, dict) for leaf in left)
