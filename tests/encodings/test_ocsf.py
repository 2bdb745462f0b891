"""Findings have the attributes OCSF asks of a Detection Finding, and none that it does not know."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given

from detector.encodings import ocsf
from detector.finding import Alert, Level
from tests.encodings.making import ALERTS, MANY, SAMPLE, alert, closed

# Copied by hand from ocsf-schema: events/base_event.json, events/findings/finding.json and detection_finding.json, and
# the files of the same names in objects/. A class or object: its attributes with their types; "!" is required. There is
# no package that validates events: ocsf-lib compiles schemas, py-ocsf-models lacks actors and endpoints in evidences.
SCHEMA: dict[str, dict[str, str]] = {
    "detection_finding": {
        "activity_id": "int!",
        "activity_name": "str",
        "category_name": "str",
        "category_uid": "int!",
        "class_name": "str",
        "class_uid": "int!",
        "count": "int",
        "duration": "int",
        "end_time": "int",
        "evidences": "evidences[]",
        "finding_info": "finding_info!",
        "is_alert": "bool",
        "message": "str",
        "metadata": "metadata!",
        "observables": "observable[]",
        "remediation": "remediation",
        "resources": "resource_details[]",
        "severity": "str",
        "severity_id": "int!",
        "start_time": "int",
        "status": "str",
        "status_id": "int",
        "time": "int!",
        "type_name": "str",
        "type_uid": "int!",
        "unmapped": "object",
    },
    "actor": {"user": "user!"},
    "analytic": {"category": "str", "desc": "str", "name": "str", "type": "str", "type_id": "int!", "uid": "str!"},
    "api": {"operation": "str!", "response": "response", "service": "service", "version": "str"},
    "attack": {"sub_technique": "technique", "tactic": "technique", "technique": "technique"},
    "evidences": {
        "actor": "actor",
        "api": "api",
        "data": "object",
        "http_request": "http_request",
        "name": "str",
        "src_endpoint": "endpoint",
        "uid": "str",
    },
    "endpoint": {"ip": "ip!"},
    "finding_info": {
        "analytic": "analytic",
        "attacks": "attack[]",
        "created_time": "int",
        "data_sources": "str[]",
        "desc": "str",
        "first_seen_time": "int",
        "last_seen_time": "int",
        "modified_time": "int",
        "related_events": "related_event[]",
        "related_events_count": "int",
        "title": "str",
        "uid": "str!",
    },
    "http_request": {"url": "url", "user_agent": "str"},
    "metadata": {
        "correlation_uid": "str",
        "product": "product!",
        "sequence": "int",
        "uid": "str",
        "version": "str!",
    },
    "observable": {"name": "str", "type": "str", "type_id": "int!", "value": "str"},
    "product": {"name": "str!", "vendor_name": "str", "version": "str"},
    "related_event": {"type": "str", "uid": "str!"},
    "remediation": {"desc": "str!", "references": "str[]"},
    "resource_details": {"name": "str!", "role": "str", "role_id": "int", "type": "str"},
    "response": {"code": "int"},
    "service": {"name": "str"},
    "technique": {"name": "str", "src_url": "str", "uid": "str!"},
    "url": {"path": "str!", "query_string": "str"},
    "user": {"name": "str", "type": "str", "type_id": "int", "uid": "str"},
}
AT_LEAST_ONE = {
    "attack": {"tactic", "technique", "sub_technique"},
    "evidences": {"actor", "api", "data", "src_endpoint"},
    "url": {"path"},
    "user": {"name", "uid"},
}
PLAIN = {"str": str, "int": int, "bool": bool, "object": dict}


def check(value: Any, kind: str, path: str) -> None:
    """Compare a value with the schema."""
    if kind.endswith("[]"):
        assert isinstance(value, list), path
        for item in value:
            check(item, kind.removesuffix("[]"), path)
    elif kind == "ip":
        ipaddress.ip_address(value)
    elif kind in PLAIN:
        assert type(value) is PLAIN[kind], path
        assert value != "", path
    else:
        _check_object(value, kind, path)


def _check_object(value: Any, kind: str, path: str) -> None:
    assert isinstance(value, dict), path
    for name, item in value.items():
        assert name in SCHEMA[kind], f"{path}.{name}"
        check(item, SCHEMA[kind][name].removesuffix("!"), f"{path}.{name}")
    required = {name for name, type_ in SCHEMA[kind].items() if type_.endswith("!")}
    assert required <= {*value}, path
    assert kind not in AT_LEAST_ONE or AT_LEAST_ONE[kind] & {*value}, path


@MANY
@given(ALERTS)
def test_every_finding_is_of_the_schema(one: Alert) -> None:
    check(ocsf.encode(one), "detection_finding", "")


def test_an_ordinary_alert_uses_every_attribute_we_know() -> None:
    finding = ocsf.encode(alert())
    check(finding, "detection_finding", "")
    assert {*finding} == {*SCHEMA["detection_finding"]}
    assert {*finding["finding_info"]} == {*SCHEMA["finding_info"]}


@pytest.mark.parametrize(
    ("change", "activity", "is_alert"), [("opened", 1, True), ("raised", 2, True), ("updated", 2, False)]
)
def test_an_open_alert_is_created_or_updated(change: str, activity: int, is_alert: bool) -> None:
    finding = ocsf.encode(alert(change=change))
    assert (finding["activity_id"], finding["type_uid"]) == (activity, 200_400 + activity)
    assert finding["is_alert"] is is_alert


def test_a_closed_alert_is_a_closed_finding_that_nobody_has_reviewed() -> None:
    finding = ocsf.encode(closed())
    assert (finding["activity_id"], finding["type_uid"], finding["status_id"]) == (3, 200_403, 1)


def test_all_revisions_have_one_uid_and_each_its_own_event() -> None:
    first, second = ocsf.encode(alert(revision=1)), ocsf.encode(alert(revision=2))
    assert first["finding_info"]["uid"] == second["finding_info"]["uid"] == alert().id
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert (first["metadata"]["sequence"], second["metadata"]["sequence"]) == (1, 2)


def test_severities_are_those_of_ocsf() -> None:
    told = {level.name: ocsf.encode(alert(level=level)) for level in Level}
    assert [finding["severity_id"] for finding in told.values()] == [1, 2, 3, 4, 5]
    assert all(finding["severity"].lower() == name for name, finding in told.items())


def test_a_technique_is_told_with_its_tactic_where_there_is_only_one() -> None:
    rule = alert().rule
    both = ocsf.encode(alert())["finding_info"]["attacks"]
    assert [{*attack} for attack in both] == [{"technique", "sub_technique"}, {"technique"}, {"tactic"}, {"tactic"}]
    import msgspec

    one = msgspec.structs.replace(rule, tactics=("persistence",))
    told = ocsf.encode(alert(rule=one))["finding_info"]["attacks"]
    assert [attack["tactic"]["uid"] for attack in told] == ["TA0003", "TA0003"]


def test_the_query_of_a_request_is_apart_from_its_path() -> None:
    sample = {**SAMPLE, "requestURI": "/api/v1/pods?watch=true&x=?"}
    request = ocsf.encode(alert(samples=(sample,)))["evidences"][1]
    assert request["http_request"]["url"] == {"path": "/api/v1/pods", "query_string": "watch=true&x=?"}


def test_observables_point_at_what_is_there() -> None:
    finding = ocsf.encode(alert())
    evidence = finding["evidences"][0]
    told = {one["name"]: one["value"] for one in finding["observables"]}
    assert told["evidences[0].actor.user.name"] == evidence["actor"]["user"]["name"]
    assert told["evidences[0].src_endpoint.ip"] == evidence["src_endpoint"]["ip"]
