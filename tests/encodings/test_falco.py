"""Falco's JSON is such that falcosidekick takes it."""

from __future__ import annotations

import re
from uuid import UUID

from hypothesis import given

from detector.encodings import falco
from detector.finding import Alert, Level
from tests.encodings.making import ALERTS, MANY, SAMPLE, alert

KEYS = {"uuid", "output", "priority", "rule", "time", "output_fields", "source", "tags", "hostname"}
"""FalcoPayload, falcosidekick's types/types.go."""
PRIORITIES = ["Debug", "Informational", "Notice", "Warning", "Error", "Critical", "Alert", "Emergency"]
"""falcosidekick's types/priority.go, in order."""
OUTPUT = re.compile(rf"\d\d:\d\d:\d\d\.\d{{9}}: ({'|'.join(PRIORITIES)}) .*")
"""How outputs begin (regOutputFormat, falcosidekick's main.go)."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
FIELDS = {
    "ka.auditid",
    "ka.user.name",
    "ka.verb",
    "ka.uri",
    "ka.target.name",
    "ka.target.namespace",
    "ka.target.resource",
    "ka.target.subresource",
    "ka.response.code",
    "ka.useragent",
    "ka.sourceips",
    "k8s.ns.name",
    "k8s.pod.name",
}
"""Fields of Falco's k8saudit plugin (plugins/k8saudit/README.md) and the two that falcosidekick looks for."""


def test_the_fields_of_the_event_have_falcos_names() -> None:
    told = falco.encode(alert())["output_fields"]
    assert told["ka.user.name"] == "jane@example.com"
    assert (told["ka.target.namespace"], told["ka.target.name"]) == ("shop", "open-door")
    assert (told["ka.response.code"], told["ka.verb"]) == ("201", "create")
    assert {key for key in told if not key.startswith("redshank.")} <= FIELDS


def test_a_pod_is_told_where_falcosidekick_looks_for_one() -> None:
    pod = {**SAMPLE, "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0", "subresource": "exec"}}
    told = falco.encode(alert(samples=(pod,)))["output_fields"]
    assert (told["k8s.ns.name"], told["k8s.pod.name"], told["ka.target.subresource"]) == ("shop", "web-0", "exec")
    assert "k8s.pod.name" not in falco.encode(alert())["output_fields"]


def test_the_uuid_is_the_id_written_as_a_uuid() -> None:
    assert UUID(falco.encode(alert())["uuid"]).hex == alert().id
    assert falco.encode(alert())["output_fields"]["redshank.id"] == alert().id


@MANY
@given(ALERTS)
def test_falcosidekick_takes_every_alert_and_cuts_none(one: Alert) -> None:
    told = falco.encode(one)
    assert {*told} == KEYS
    assert told["priority"] in PRIORITIES
    assert told["rule"]
    assert TIME.fullmatch(told["time"])
    assert not told["time"].startswith("0001-01-01T00:00:00")
    assert OUTPUT.fullmatch(told["output"])
    assert told["output_fields"]
    assert all(isinstance(value, str) for value in told["output_fields"].values())
    assert all(isinstance(tag, str) for tag in told["tags"])


def test_priorities_rise_with_levels() -> None:
    places = [PRIORITIES.index(falco.encode(alert(level=level))["priority"]) for level in Level]
    assert places == sorted({*places})


def test_tags_name_att_ck_as_falcos_rules_do() -> None:
    assert falco.encode(alert())["tags"] == [
        "k8s",
        "mitre_persistence",
        "mitre_privilege_escalation",
        "T1098.006",
        "T1078",
    ]
