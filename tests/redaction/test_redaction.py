"""Whatever a client has a say in is free of tokens before anything is done with an event."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.event import Event
from detector.redaction import BLANK, Redaction, blank
from detector.redaction.carriers import RESOURCES
from detector.redaction.redaction import _with_tokens
from tests.support import event

PLANTED = "hunter2-planted"
JWT = f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.{PLANTED}"
PLACES: list[dict[str, Any]] = [
    {"requestURI": f"/x?token={PLANTED}"},
    {"requestURI": f"/proxy/a%3Ftoken%3D{PLANTED}"},
    {"requestURI": f"/x?command=Authorization:%20Basic%20{PLANTED}"},
    {"userAgent": f"curl Bearer {PLANTED}"},
    {"auditID": JWT},
    {"verb": JWT},
    {"sourceIPs": ["192.0.2.1", JWT]},
    {"user": {"username": f"jane token={PLANTED}"}},
    {"user": {"username": "jane", "uid": JWT}},
    {"user": {"username": "jane", "groups": ["a", JWT]}},
    {"user": {"username": "jane", "extra": {"a": ["b", JWT]}}},
    {"user": {"username": "jane", "extra": {JWT: ["b"]}}},
    {"impersonatedUser": {"username": JWT}},
    {"impersonatedUser": {"username": "kim", "extra": {"a": [JWT]}}},
    {"annotations": {"example.com/a": f"password={PLANTED}"}},
    {"annotations": {JWT: "a"}},
    {"objectRef": {"resource": "pods", "name": JWT}},
    {"objectRef": {"resource": "pods", "namespace": JWT}},
    {"objectRef": {"resource": "pods", "subresource": JWT}},
    {"responseStatus": {"code": 401, "message": f"no such token={PLANTED}"}},
    {"responseStatus": {"code": 401, "reason": JWT}},
    {"objectRef": {"resource": "pods"}, "requestObject": {"spec": {"command": [f"x --password={PLANTED}"]}}},
    {"objectRef": {"resource": "pods"}, "requestObject": {"env": [{"name": "A", "value": JWT}]}},
    {"objectRef": {"resource": "pods"}, "requestObject": {JWT: 1}},
    {"objectRef": {"resource": "pods"}, "responseObject": [{"op": "add", "path": "/a", "value": f"Bearer {PLANTED}"}]},
]


def written(one: Event) -> str:
    return orjson.dumps(one.as_dict()).decode()


@pytest.mark.parametrize("place", PLACES, ids=[orjson.dumps(place).decode()[:60] for place in PLACES])
def test_a_token_is_blanked_wherever_it_is(place: dict[str, Any]) -> None:
    one = blank(event(**place))
    assert PLANTED not in written(one)
    assert BLANK in written(one)


@given(
    st.lists(st.sampled_from([{}, {"userAgent": "a\nb"}, {"requestURI": "/x?continue=eyJ2\0"}, *PLACES]), max_size=8)
)
def test_what_is_blanked_in_an_event_does_not_depend_on_its_neighbours(places: list[dict[str, Any]]) -> None:
    together = [event(number, **place) for number, place in enumerate(places)]
    Redaction().blank(together)
    assert [written(one) for one in together] == [
        written(blank(event(number, **place))) for number, place in enumerate(places)
    ]


def test_an_event_without_secrets_stays_as_it_is() -> None:
    body = {"a": [1, None, "b"]}
    attributes: dict[str, Any] = {"objectRef": {"resource": "pods", "name": "a"}, "requestObject": body}
    one, same = event(**attributes), event(**attributes)
    assert written(blank(one)) == written(same)
    assert bytes(one.requestObject) == bytes(same.requestObject)


def test_only_events_with_something_like_a_token_are_taken_apart() -> None:
    events = [event(number, userAgent="a\nb") for number in range(9)]
    events[4].userAgent = f"token={PLANTED}" * 3
    assert list(_with_tokens(events)) == [events[4]]


@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_events_about_carriers_keep_what_they_are_about(resource: str) -> None:
    one = blank(event(objectRef={"resource": resource, "name": "db"}, requestObject={"data": {"a": PLANTED}}))
    assert one.objectRef is not None
    assert one.objectRef.name == "db"
    assert one.request == {"data": {"a": BLANK}}
