"""Secrets stay home: what is known to carry one is blanked, whatever the shape."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.redaction import _TOKENS, BLANK, LAST_APPLIED, blank, blank_body, scrub, scrub_all
from tests.support import event

PLANTED = "hunter2-planted"
JWT = f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.{PLANTED}"
APPLIED = {"metadata": {"annotations": {LAST_APPLIED: f'{{"data":{{"p":"{PLANTED}"}}}}'}}}

CARRIERS: list[tuple[str, str, Any]] = [
    ("data", "secrets", {"kind": "Secret", "data": {"password": PLANTED}}),
    ("stringData", "secrets", {"kind": "Secret", "stringData": {"password": PLANTED}}),
    ("data that is a text", "secrets", {"data": PLANTED}),
    ("last applied", "secrets", APPLIED),
    ("list", "secrets", {"kind": "SecretList", "items": [{"data": {"a": PLANTED}}, PLANTED]}),
    ("table", "secrets", {"kind": "Table", "rows": [{"cells": ["db"], "object": {"data": {"a": PLANTED}}}]}),
    ("lists in lists", "secrets", {"x": [[{"y": [{"stringData": {"a": PLANTED}}]}]]}),
    ("table with last applied", "secrets", {"kind": "Table", "rows": [{"object": APPLIED}]}),
    ("deep", "secrets", orjson.loads('{"x":' * 150 + f'{{"data":"{PLANTED}"}}' + "}" * 150)),
    ("deep lists", "secrets", {"x": orjson.loads("[" * 150 + f'{{"data":"{PLANTED}"}}' + "]" * 150)}),
    ("JSON patch of one key", "secrets", [{"op": "replace", "path": "/data/password", "value": PLANTED}]),
    ("JSON patch of all data", "secrets", [{"op": "add", "path": "/data", "value": {"password": PLANTED}}]),
    ("JSON patch of the root", "secrets", [{"op": "replace", "path": "", "value": {"data": {"a": [PLANTED]}}}]),
    ("JSON patch with junk", "secrets", [PLANTED]),
    ("a text", "secrets", PLANTED),
    ("token request", "serviceaccounts", {"kind": "TokenRequest", "status": {"token": PLANTED}}),
    ("token review", "tokenreviews", {"kind": "TokenReview", "spec": {"token": PLANTED}}),
]


@pytest.mark.parametrize("attribute", ["requestObject", "responseObject"])
@pytest.mark.parametrize(("resource", "body"), [row[1:] for row in CARRIERS], ids=[row[0] for row in CARRIERS])
def test_bodies_of_carriers_lose_their_secrets(attribute: str, resource: str, body: Any) -> None:
    blanked = blank(event(objectRef={"resource": resource}, **{attribute: body}))
    assert PLANTED not in orjson.dumps(blanked.as_dict()).decode()
    assert BLANK in orjson.dumps(blanked.as_dict()).decode()


def test_what_rules_ask_of_a_secret_stays() -> None:
    body = {"type": "Opaque", "metadata": {"name": "db", "labels": {"a": "b"}}, "data": {"password": PLANTED}}
    blanked = blank(event(objectRef={"resource": "secrets"}, requestObject=body)).request
    assert blanked == {**body, "data": {"password": BLANK}}


def test_other_resources_are_left_alone() -> None:
    body = {"data": {"key": "value"}}
    assert blank(event(objectRef={"resource": "configmaps"}, requestObject=body)).request == body


TEXTS = [
    (f"/api/v1?token={PLANTED}", f"/api/v1?token={BLANK}"),
    (f"/x?a=1&access_token={PLANTED}&b=2", f"/x?a=1&access_token={BLANK}&b=2"),
    (f"/x?Authorization={PLANTED}", f"/x?Authorization={BLANK}"),
    (f"curl -H 'Authorization: Bearer {PLANTED}'", f"curl -H 'Authorization: Bearer {BLANK}'"),
    ("curl -H 'Authorization: Basic aHVudGVyOjI='", f"curl -H 'Authorization: Basic {BLANK}'"),
    ("command=Authorization%3A+Basic+aHVudGVyOjI%3D&tty=1", f"command=Authorization%3A+Basic+{BLANK}&tty=1"),
    ("command=Authorization%3A%20Basic%20aHVudGVyOjI%3D", f"command=Authorization%3A%20Basic%20{BLANK}"),
    ("a basic question", "a basic question"),
    (f"/x/proxy/a%3Ftoken%3D{PLANTED}%26b=1", f"/x/proxy/a%3Ftoken%3D{BLANK}%26b=1"),
    (
        f"/x?command=curl&command=http%3A%2F%2Fa%3Fpassword%3d{PLANTED}&c=1",
        f"/x?command=curl&command=http%3A%2F%2Fa%3Fpassword%3d{BLANK}&c=1",
    ),
    (f"/x?u=a%253Fclient_secret%253D{PLANTED}%2526b", f"/x?u=a%253Fclient_secret%253D{BLANK}%2526b"),
    (f"command=Bearer+{PLANTED}", f"command=Bearer+{BLANK}"),
    (f"a {JWT} b", f"a {BLANK} b"),
    ("/api/v1/pods?limit=500&continue=abc", "/api/v1/pods?limit=500&continue=abc"),
]


@pytest.mark.parametrize(("text", "clean"), TEXTS)
def test_tokens_in_texts_are_blanked(text: str, clean: str) -> None:
    assert scrub(text) == clean
    assert scrub_all({"a": [text]}) == {"a": [clean]}


FRAGMENTS = ("token", "Secret", "authorization", "=", "%3D", "%253d", "?", "&", " ", "+", "%20", "Basic", "bearer", "x")


@given(st.lists(st.sampled_from((*FRAGMENTS, "eyJ", ".", "abcdefgh", "access_")), max_size=9).map("".join))
def test_no_token_is_missed_by_looking_for_words_first(text: str) -> None:
    thorough = text
    for _, pattern in _TOKENS:
        thorough = pattern.sub(rf"\1{BLANK}", thorough)
    assert scrub(text) == thorough


def test_the_uri_of_any_event_is_scrubbed() -> None:
    assert blank(event(requestURI=f"/x?token={PLANTED}")).requestURI == f"/x?token={BLANK}"


@pytest.mark.parametrize("uri", [f"/proxy/a%3Ftoken%3D{PLANTED}", "/x?command=Authorization:%20Basic%20" + PLANTED])
def test_the_uri_of_any_event_is_scrubbed_where_it_is_encoded(uri: str) -> None:
    assert PLANTED not in (blank(event(requestURI=uri)).requestURI or "")


def test_a_broken_body_of_a_carrier_is_dropped_whole() -> None:
    one = event(objectRef={"resource": "secrets"}, requestObject={"a": 1})
    deep = b'{"data":' * 2000
    one.requestObject = type(one.requestObject)(deep)
    assert blank(one).request == BLANK


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


def test_nesting_has_a_limit() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    assert scrub_all(deep) is not None
