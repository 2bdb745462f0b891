"""Event: times, fingerprints and bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from detector.event import UNREADABLE, micros, rfc3339
from detector.fields import value_of
from detector.redaction import scrub_all
from tests.support import event


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.1234567Z", 123_456),
        ("1970-01-01T00:00:00", 0),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("tomorrow", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_microseconds(stamp: str | None, expected: int | None) -> None:
    assert micros(stamp) == expected


def test_times_are_written_back() -> None:
    assert rfc3339(micros("2026-11-22T13:43:01.067545Z") or 0) == "2026-11-22T13:43:01.067545Z"
    assert rfc3339(micros("0001-01-01T00:00:00Z") or 0) == "0001-01-01T00:00:00.000000Z"


def test_the_time_falls_back_to_what_there_is() -> None:
    bare: dict[str, Any] = {"stageTimestamp": None, "requestReceivedTimestamp": None}
    assert event(**bare).time is None
    assert event(**{**bare, "requestReceivedTimestamp": "1970-01-01T00:00:02Z"}).time == 2_000_000
    assert event(**{**bare, "timestamp": "1970-01-01T00:00:03Z"}).time == 3_000_000


CHANGES: list[dict[str, Any]] = [
    {"auditID": "other"},
    {"stage": "Panic"},
    {"requestReceivedTimestamp": "2026-01-01T00:00:00Z"},
    {"stageTimestamp": "2026-01-01T00:00:00Z"},
    {"user": {"username": "eve"}},
    {"verb": "list"},
    {"requestURI": "/other"},
    {"responseStatus": {"code": 403}},
]


@pytest.mark.parametrize("change", CHANGES, ids=[next(iter(change)) for change in CHANGES])
def test_every_part_of_the_fingerprint_counts(change: dict[str, Any]) -> None:
    assert event(**change).fingerprint != event().fingerprint


def test_wrappings_do_not_change_the_fingerprint() -> None:
    assert event(kind=None, apiVersion=None, level="Metadata").fingerprint == event().fingerprint


@pytest.mark.parametrize("body", [{"a": 1}, [{"op": "add"}], "skipped-too-big-size-object"])
def test_bodies_are_read_on_demand(body: Any) -> None:
    one = event(requestObject=body)
    assert one.request == body
    assert one.response is None
    assert one.as_dict()["requestObject"] == body


@pytest.mark.parametrize("body", [b'{"a":1e999,"hostPID":true}', b'{"b":"\\ud800","hostPID":true}'])
def test_a_body_that_one_parser_refuses_does_not_hide(body: bytes) -> None:
    one = event()
    one.requestObject = msgspec.Raw(body)
    assert one.request["hostPID"] is True
    assert one.as_dict()["requestObject"]["hostPID"] is True


def test_absent_attributes_are_left_out() -> None:
    plain = event(objectRef={"resource": "pods"}, userAgent=None).as_dict()
    assert plain["objectRef"] == {"resource": "pods"}
    assert "userAgent" not in plain


@pytest.mark.parametrize(
    "odd",
    ["1e999", "1" * 5000, "-" + "9" * 30, r'"\ud800"', "[" * 900 + "]" * 900, "NaN"],
    ids=["too large a float", "5000 digits", "30 digits", "lone surrogate", "nested deep", "not a number"],
)
def test_one_odd_value_in_a_body_hides_nothing_beside_it(odd: str) -> None:
    body = f'[{{"op":"add","path":"/spec/hostPID","value":true}},{{"op":"test","path":"/x","value":{odd}}}]'
    one = event(verb="patch", objectRef={"resource": "pods", "name": "p"})
    one.requestObject = msgspec.Raw(body.encode())
    assert one.request[0] == {"op": "add", "path": "/spec/hostPID", "value": True}
    assert value_of("object", one)["spec"]["hostPID"] is True
    assert orjson.dumps(scrub_all(one.as_dict()))


def test_a_body_that_cannot_be_read_is_not_taken_for_an_absent_one() -> None:
    one = event(verb="create")
    one.requestObject = msgspec.Raw(b'{"cut')
    assert one.request == UNREADABLE
    assert value_of("truncated", one) is True
