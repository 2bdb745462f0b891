"""The native form is the alert itself, in plain JSON types."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from detector.encodings import native
from detector.finding import Alert, Chapter, Level
from tests.encodings.making import SAMPLE, alert


def test_levels_and_times_are_in_words_and_everything_else_is_as_it_was() -> None:
    record = native.encode(alert())
    assert (record["level"], record["rule"]["level"]) == ("critical", "critical")
    assert (record["first_seen"], record["last_seen"]) == ("2026-03-05T14:03:11.123456Z", "2026-03-05T14:08:23.123456Z")
    plain: dict[str, Any] = msgspec.to_builtins(alert())
    same = {*plain} - {"level", "rule", "first_seen", "last_seen", "story"}
    assert {key: record[key] for key in same} == {key: plain[key] for key in same}


def test_every_attribute_of_an_alert_is_there_in_order() -> None:
    assert list(native.encode(alert())) == list(Alert.__struct_fields__)


def test_samples_can_be_left_out() -> None:
    record = native.encode(alert(), samples=False)
    assert "samples" not in record
    assert {**record, "samples": native.encode(alert())["samples"]} == native.encode(alert())


def test_a_huge_alert_keeps_what_identifies_it() -> None:
    record = native.encode(alert(actor="x" * 5_000_000, samples=(SAMPLE,) * 3))
    assert len(orjson.dumps(record)) < native.LIMIT
    assert record["id"] == alert().id
    assert record["rule"]["id"] == alert().rule.id
    assert record["actor"].endswith("x…")
    assert len(record["samples"]) == 3


def test_with_little_room_the_samples_go_and_the_rest_stays() -> None:
    record = native.encode(alert(level=Level.low, audit_ids=("a" * 36,) * 256), limit=4000)
    assert len(orjson.dumps(record)) <= 4000
    assert "samples" not in record
    assert (record["level"], record["revision"], record["status"]) == ("low", 2, "open")
    assert record["rule"]["runbook"]


def test_lone_surrogates_are_replaced() -> None:
    assert native.encode(alert(actor="a\ud800b"))["actor"] == "a\ufffdb"


def test_an_incident_is_read_back_with_its_story() -> None:
    chapter = Chapter(1_000_000, "a" * 32, Level.low, "recon", "Looked", "jane", "prod/pods/x", "jane looked")
    incident = alert(kind="incident", story=(chapter,), samples=())
    record = native.encode(incident)
    assert record["story"] == [{**msgspec.to_builtins(chapter), "level": "low", "time": "1970-01-01T00:00:01.000000Z"}]
    assert native.decode(record) == incident
