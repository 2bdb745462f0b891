"""Splunk gets events with a time in seconds, flat indexed fields, and no more than it keeps."""

from __future__ import annotations

import orjson
from hypothesis import given

from detector.encodings import splunk
from detector.finding import Alert
from tests.encodings.making import ALERTS, MANY, alert

ENVELOPE = {"time", "host", "source", "sourcetype", "event", "fields"}
"""https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector#Event_metadata"""


def test_the_envelope_has_what_the_collector_knows() -> None:
    told = splunk.encode(alert())
    assert {*told} == ENVELOPE
    assert told["time"] == 1772719703.123456
    assert told["sourcetype"] == "redshank:alert"


def test_the_event_speaks_the_alerts_data_model() -> None:
    event = splunk.encode(alert())["event"]
    assert (event["severity"], event["type"], event["app"]) == ("critical", "alert", "redshank")
    assert (event["user"], event["src"], event["dest"]) == ("jane@example.com", "192.0.2.10", "prod-eu")
    assert event["mitre_technique_id"] == ["T1098.006", "T1078"]
    assert (event["id"], event["revision"]) == (alert().id, 2)


@MANY
@given(ALERTS)
def test_fields_are_flat_texts_and_times_are_never_negative(one: Alert) -> None:
    told = splunk.encode(one)
    assert all(isinstance(value, str) and value for value in told["fields"].values())
    assert told["time"] >= 0
    assert told["host"]


def test_an_alert_of_a_whole_window_loses_only_audit_ids() -> None:
    event = splunk.encode(alert(audit_ids=tuple(f"{number:036}" for number in range(256))))["event"]
    assert len(event["audit_ids"]) == 20
    assert event["runbook"] == splunk.encode(alert())["event"]["runbook"]
    assert len(orjson.dumps(event)) < splunk.LIMIT
