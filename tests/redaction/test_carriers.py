"""What is known to carry a secret is blanked, whatever the shape of the body and whatever the event says of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.event import Event, ObjectRef
from detector.redaction import BLANK, blank
from detector.redaction.carriers import LAST_APPLIED, blank_body
from tests.support import event

PLANTED = "hunter2-planted"
APPLIED = {"metadata": {"annotations": {LAST_APPLIED: f'{{"kind":"Secret","data":{{"p":"{PLANTED}"}}}}'}}}
DEPLOYMENT = {"spec": {"env": [{"name": "DB_PASSWORD", "value": PLANTED}]}}
POINTER = f"/metadata/annotations/{LAST_APPLIED.replace('/', '~1')}"
SECRET = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": PLANTED}}
REVIEW = {"kind": "TokenReview", "spec": {"token": PLANTED}}


def applied(body: Any, cut: int = 0) -> dict[str, Any]:
    """Give an object that `kubectl apply` was given ``body`` for; its text lacks the last ``cut`` letters."""
    text = orjson.dumps(body).decode()
    return {"metadata": {"annotations": {LAST_APPLIED: text[: len(text) - cut]}}}


CARRIERS: list[tuple[str, str, Any]] = [
    ("data", "secrets", {"kind": "Secret", "data": {"password": PLANTED}}),
    ("stringData", "secrets", {"kind": "Secret", "stringData": {"password": PLANTED}}),
    ("data that is a text", "secrets", {"data": PLANTED}),
    ("Data, which Go reads as data", "secrets", {"Data": {"a": PLANTED}, "STRINGDATA": {"b": PLANTED}}),
    ("data with a long s, which Go reads as one", "secrets", {"\u017ftringData": {"a": PLANTED}}),
    ("last applied", "secrets", APPLIED),
    ("list", "secrets", {"kind": "SecretList", "items": [{"data": {"a": PLANTED}}, PLANTED]}),
    ("table", "secrets", {"kind": "Table", "rows": [{"cells": ["db"], "object": {"data": {"a": PLANTED}}}]}),
    ("lists in lists", "secrets", {"x": [[{"y": [{"stringData": {"a": PLANTED}}]}]]}),
    ("table with last applied", "secrets", {"kind": "Table", "rows": [{"object": APPLIED}]}),
    ("deep", "secrets", orjson.loads('{"x":' * 150 + f'{{"data":"{PLANTED}"}}' + "}" * 150)),
    ("deep lists", "secrets", {"x": orjson.loads("[" * 150 + f'{{"data":"{PLANTED}"}}' + "]" * 150)}),
    ("JSON patch of one key", "secrets", [{"op": "replace", "path": "/data/password", "value": PLANTED}]),
    (
        "JSON patch of all data",
        "secrets",
        [{"op": "add", "path": "/data", "value": {"password": PLANTED, "pin": 4711}}],
    ),
    ("JSON patch of the root", "secrets", [{"op": "replace", "path": "", "value": {"data": {"a": [PLANTED]}}}]),
    ("JSON patch with junk", "secrets", [PLANTED]),
    ("merge patch", "secrets", {"data": {"password": PLANTED}}),
    ("a text", "secrets", PLANTED),
    ("token request", "serviceaccounts", {"kind": "TokenRequest", "status": {"token": PLANTED}}),
    ("token review", "tokenreviews", REVIEW),
    ("a list of mixed kinds", "pods", {"kind": "List", "items": [{"kind": "Pod"}, SECRET]}),
    ("a list of Secrets in the answer to something else", "bulk", {"kind": "SecretList", "items": [{"data": PLANTED}]}),
    ("a wrapped answer", "proxies", {"response": {"body": [SECRET]}}),
    ("a kind in capitals", "proxies", {"Kind": "Secret", "Data": {"a": PLANTED}}),
    ("a table of something else", "pods", {"kind": "Table", "rows": [{"object": SECRET}]}),
    ("a wrapped token review", "proxies", {"request": REVIEW}),
    ("last applied of a Secret elsewhere", "configmaps", APPLIED),
    ("a patch that adds a Secret", "bundles", [{"op": "add", "path": "/spec/objects/-", "value": SECRET}]),
    ("an environment variable", "pods", {"spec": {"env": [{"name": "DB_PASSWORD", "value": PLANTED}]}}),
    ("a variable whose value comes first", "pods", {"env": [{"value": PLANTED, "name": "DB_PASSWORD"}]}),
    ("a variable of passwd in capitals", "pods", {"env": [{"name": "DB_PASSWD", "value": PLANTED}]}),
    ("a variable with an odd name", "pods", {"env": [{"name": 'a"\\b\nPASSWORD', "value": PLANTED}]}),
    ("a variable in last applied", "deployments", applied(DEPLOYMENT)),
    ("a variable in last applied, value first", "deployments", applied({"x": [{"value": PLANTED, "name": "A_TOKEN"}]})),
    ("last applied in last applied", "deployments", applied(applied(DEPLOYMENT))),
    ("last applied of a list", "lists", applied({"kind": "List", "items": [{"kind": "Pod"}, SECRET]})),
    ("last applied that is cut off", "deployments", applied(DEPLOYMENT, cut=2)),
    (
        "a patch of last applied",
        "deployments",
        [{"op": "add", "path": POINTER, "value": orjson.dumps(DEPLOYMENT).decode()}],
    ),
    ("a header of a probe", "pods", {"httpHeaders": [{"name": "X-Api-Key", "value": PLANTED}]}),
]


@pytest.mark.parametrize("attribute", ["requestObject", "responseObject"])
@pytest.mark.parametrize(("resource", "body"), [row[1:] for row in CARRIERS], ids=[row[0] for row in CARRIERS])
def test_bodies_of_carriers_lose_their_secrets(attribute: str, resource: str, body: Any) -> None:
    blanked = blank(event(objectRef={"resource": resource}, **{attribute: body}))
    assert PLANTED not in orjson.dumps(blanked.as_dict()).decode()
    assert BLANK in orjson.dumps(blanked.as_dict()).decode()


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("body", [row[2] for row in CARRIERS[-12:]], ids=[row[0] for row in CARRIERS[-12:]])
def test_spaces_in_a_body_and_in_last_applied_hide_no_secret(
    body: Any, indent: int | None, separators: tuple[str, str]
) -> None:
    one = event(objectRef={"resource": "pods"})
    one.requestObject = msgspec.Raw(json.dumps(body, indent=indent, separators=separators).encode())
    assert PLANTED not in orjson.dumps(blank(one).as_dict()).decode()


def test_spaces_within_last_applied_hide_no_secret() -> None:
    text = json.dumps(DEPLOYMENT, indent=1)
    one = event(objectRef={"resource": "pods"}, requestObject={"annotations": {LAST_APPLIED: text}})
    assert PLANTED not in orjson.dumps(blank(one).as_dict()).decode()


def test_of_last_applied_only_the_secret_goes() -> None:
    body = applied({"kind": "Pod", "spec": {"hostPID": True}, **DEPLOYMENT, "cmd": "nsenter -t 1"})
    request = blank(event(objectRef={"resource": "pods"}, requestObject=body)).request
    kept = orjson.loads(request["metadata"]["annotations"][LAST_APPLIED])
    assert kept == {"kind": "Pod", "spec": {"env": [{"name": "DB_PASSWORD", "value": BLANK}]}, "cmd": "nsenter -t 1"}


@pytest.mark.parametrize(
    "body", [SECRET, {"data": {"a": PLANTED}}, [{"op": "add", "path": "/data/a", "value": PLANTED}]]
)
@pytest.mark.parametrize("ref", [None, ObjectRef(), ObjectRef(name="db")])
def test_without_an_object_a_body_is_taken_for_a_carrier(ref: ObjectRef | None, body: Any) -> None:
    blanked = blank(Event(objectRef=ref, requestObject=msgspec.Raw(orjson.dumps(body))))
    assert PLANTED not in orjson.dumps(blanked.as_dict()).decode()


def test_what_rules_ask_of_a_secret_stays() -> None:
    body = {"type": "Opaque", "metadata": {"name": "db", "labels": {"a": "b"}}, "data": {"password": PLANTED}}
    blanked = blank(event(objectRef={"resource": "secrets"}, requestObject=body)).request
    assert blanked == {**body, "data": {"password": BLANK}}


def test_what_is_beside_a_carrier_stays() -> None:
    pod = {"kind": "Pod", "spec": {"hostPID": True, "data": {"a": 1}, "token": "no token"}}
    blanked = blank(event(objectRef={"resource": "lists"}, requestObject={"kind": "List", "items": [pod, SECRET]}))
    assert blanked.request["items"] == [pod, {**SECRET, "data": {"password": BLANK}}]


PLAIN = [
    {"data": {"key": "value"}},
    {"kind": "ConfigMap", "token": "a word", "data": {"Secret": "kind"}},
    {"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db"}}}, {"name": "A", "value": "b"}]},
    {"command": ["sh", "-c", "nsenter -t 1 -m"], "metadata": {"annotations": {LAST_APPLIED: '{"kind":"Pod"}'}}},
]


@pytest.mark.parametrize("body", PLAIN)
def test_other_bodies_are_left_alone(body: Any) -> None:
    assert blank(event(objectRef={"resource": "configmaps"}, requestObject=body)).request == body


@pytest.mark.parametrize(
    "written", [b'{"kind":"\\u0053ecret","data":"%b"}', b'{"k":[{"\\u006bind":"Secret","data":"%b"}]}']
)
def test_letters_in_disguise_hide_no_carrier(written: bytes) -> None:
    one = event(objectRef={"resource": "proxies"})
    one.requestObject = msgspec.Raw(written % PLANTED.encode())
    assert PLANTED not in orjson.dumps(blank(one).as_dict()).decode()


def test_a_broken_body_of_a_carrier_is_dropped_whole() -> None:
    one = event(objectRef={"resource": "secrets"}, requestObject={"a": 1})
    one.requestObject = msgspec.Raw(b'{"data":' * 2000)
    assert blank(one).request == BLANK


def test_what_only_go_can_read_of_a_secret_is_blanked_and_not_dropped() -> None:
    one = event(objectRef={"resource": "secrets"})
    one.requestObject = msgspec.Raw(b'{"type":"Opaque\\ud800","data":{"a":"%b"}}' % PLANTED.encode())
    assert blank(one).request == {"type": "Opaque\ufffd", "data": {"a": BLANK}}


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just(PLANTED),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "items", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(trees)
def test_no_shape_of_data_keeps_a_secret(tree: Any) -> None:
    for body in ({"data": tree}, {"stringData": tree}, [{"op": "add", "path": "/data", "value": tree}]):
        assert PLANTED not in orjson.dumps(blank_body(body)).decode()


@given(trees)
def test_no_place_of_a_secret_keeps_it(tree: Any) -> None:
    for body in (
        {"x": [tree, {"kind": "Secret", "data": tree}]},
        [{"op": "add", "value": {"kind": "Secret", "data": tree}}],
    ):
        blanked = orjson.loads(orjson.dumps(blank_body(body, False)))
        found = blanked["x"][1] if isinstance(blanked, dict) else blanked[0]["value"]
        assert PLANTED not in orjson.dumps(found).decode()
