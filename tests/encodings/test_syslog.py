"""Syslog messages are of RFC 5424, one line each, and no larger than collectors take."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given

from detector.encodings import cef, syslog
from detector.finding import Alert, Level
from tests.encodings.making import ALERTS, MANY, alert

MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (?P<host>[!-~]{1,255}) redshank - alert "
    r'(?P<data>(?:\[[!-<>-~]+(?: \w+="(?:[^"\\\]]|\\["\\\]])*")*\])+) (?P<text>.*)'
)
"""RFC 5424, section 6, as far as we use it."""
PARAMETER = re.compile(r'(\w+)="((?:[^"\\\]]|\\["\\\]])*)"')


def parsed(message: str) -> dict[str, str]:
    match = MESSAGE.fullmatch(message)
    assert match, message
    return match.groupdict()


def parameters(message: str) -> dict[str, str]:
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in PARAMETER.findall(parsed(message)["data"])}


def test_a_message_has_the_parts_of_the_rfc() -> None:
    parts = parsed(syslog.encode(alert(), hostname="siem-1"))
    assert (parts["pri"], parts["time"], parts["host"]) == ("106", "2026-03-05T14:08:23.123456Z", "siem-1")
    assert parts["text"] == cef.encode(alert())
    told = parameters(syslog.encode(alert()))
    assert (told["id"], told["revision"], told["level"], told["cluster"]) == (alert().id, "2", "critical", "prod-eu")


def test_the_facility_is_chosen_and_the_severity_follows_the_level() -> None:
    priorities = [int(parsed(syslog.encode(alert(level=level), facility=16))["pri"]) for level in Level]
    assert [priority >> 3 for priority in priorities] == [16] * 5
    assert [priority & 7 for priority in priorities] == [6, 5, 4, 3, 2]


@pytest.mark.parametrize("body", [cef.encode, syslog.json_body], ids=["cef", "json"])
@MANY
@given(one=ALERTS)
def test_no_value_breaks_the_message(body: syslog.Body, one: Alert) -> None:
    message = syslog.encode(one, body=body, hostname=one.cluster)
    assert len(message.encode()) <= syslog.LIMIT
    assert parameters(message)["id"] == one.id
    assert "\n" not in message
    text = parsed(message)["text"]
    assert text.startswith("\ufeff") is not text.isascii()


def test_a_text_beyond_ascii_begins_with_the_mark_of_utf_8_unless_unwanted() -> None:
    one = alert(actor="Jürgen")
    assert parsed(syslog.encode(one))["text"].startswith("\ufeffCEF:0")
    assert parsed(syslog.encode(one, bom=False))["text"].startswith("CEF:0")
    assert parsed(syslog.encode(one, body=syslog.json_body))["text"].startswith("{")


def test_structured_data_is_escaped() -> None:
    hostile = 'a"] [evil x="1\\'
    assert parameters(syslog.encode(alert(cluster=hostile)))["cluster"] == hostile


def test_json_is_the_native_form_and_says_everything_where_there_is_room() -> None:
    record = json.loads(syslog.json_body(alert()))
    assert record["reasons"][0]["value"] == "cluster-admin"
    assert (record["id"], record["level"], "samples" in record) == (alert().id, "critical", False)


def test_json_of_a_long_alert_keeps_its_reasons() -> None:
    record = json.loads(syslog.json_body(alert(audit_ids=("a" * 36,) * 256)))
    assert record["reasons"] == json.loads(syslog.json_body(alert()))["reasons"]
    assert len(record["audit_ids"]) == 20


@pytest.mark.parametrize(("given", "told"), [("", "-"), ("a b\n", "a_b_"), ("ü", "_"), ("h" * 300, "h" * 255)])
def test_host_names_that_the_rfc_does_not_know_are_made_to_fit(given: str, told: str) -> None:
    assert parsed(syslog.encode(alert(), hostname=given))["host"] == told
