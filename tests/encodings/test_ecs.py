"""Documents have fields that ECS knows, of the types it gives them, and ``redshank`` for the rest."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given

from detector.encodings import ecs
from detector.finding import Alert, Level
from tests.encodings.making import ALERTS, MANY, SAMPLE, alert

FIELDS = {
    "@timestamp": "date",
    "message": "text",
    "ecs.version": "keyword",
    "event.action": "keyword",
    "event.category": "keyword[]",
    "event.dataset": "keyword",
    "event.duration": "long",
    "event.end": "date",
    "event.id": "keyword",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.original": "keyword",
    "event.outcome": "keyword",
    "event.provider": "keyword",
    "event.reason": "keyword",
    "event.sequence": "long",
    "event.severity": "long",
    "event.start": "date",
    "event.type": "keyword[]",
    "observer.product": "keyword",
    "observer.type": "keyword",
    "observer.vendor": "keyword",
    "observer.version": "keyword",
    "orchestrator.api_version": "keyword",
    "orchestrator.cluster.name": "keyword",
    "orchestrator.namespace": "keyword",
    "orchestrator.resource.name": "keyword",
    "orchestrator.resource.type": "keyword",
    "orchestrator.type": "keyword",
    "related.ip": "ip[]",
    "related.user": "keyword[]",
    "rule.author": "keyword[]",
    "rule.description": "keyword",
    "rule.id": "keyword",
    "rule.name": "keyword",
    "rule.reference": "keyword",
    "rule.ruleset": "keyword",
    "source.address": "keyword",
    "source.ip": "ip",
    "threat.framework": "keyword",
    "threat.tactic.id": "keyword[]",
    "threat.tactic.name": "keyword[]",
    "threat.tactic.reference": "keyword[]",
    "threat.technique.id": "keyword[]",
    "threat.technique.subtechnique.id": "keyword[]",
    "threat.technique.subtechnique.reference": "keyword[]",
    "url.original": "wildcard",
    "user.id": "keyword",
    "user.name": "keyword",
    "user_agent.original": "keyword",
}
"""The fields we use, by hand from https://www.elastic.co/docs/reference/ecs/ecs-field-reference; ``[]`` is an array."""
REQUIRED = {"@timestamp", "ecs.version", "event.kind", "event.id", "event.severity", "rule.id", "message"}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Give the fields of a document by their dotted names."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, item in value.items():
        yield from leaves(item, f"{name}.{key}" if name else key)


def check(value: Any, kind: str) -> None:
    if kind.endswith("[]"):
        assert isinstance(value, list)
        assert value
        for item in value:
            check(item, kind.removesuffix("[]"))
    elif kind == "long":
        assert isinstance(value, int)
        assert -(1 << 63) <= value < 1 << 63
    else:
        assert isinstance(value, str)
        assert value
    if kind == "date":
        assert DATE.fullmatch(value)
        datetime.fromisoformat(value)
    if kind == "ip":
        ipaddress.ip_address(value)
        assert "%" not in value


@MANY
@given(ALERTS)
def test_every_field_is_one_of_ecs_and_of_its_type(one: Alert) -> None:
    found = dict(leaves({key: value for key, value in ecs.encode(one).items() if key != "redshank"}))
    for name, value in found.items():
        assert name in FIELDS, name
        check(value, FIELDS[name])


def test_an_ordinary_alert_fills_every_field_we_know() -> None:
    found = dict(leaves({key: value for key, value in ecs.encode(alert()).items() if key != "redshank"}))
    assert {*found} == {*FIELDS}


def test_what_a_detection_needs_is_there_whatever_is_missing() -> None:
    bare = alert(samples=(), targets=(), sources=(), reasons=(), audit_ids=(), actor="", cluster="")
    assert {name for name, _ in leaves(ecs.encode(bare))} >= REQUIRED


def test_categories_are_those_ecs_allows_for_alerts() -> None:
    event = ecs.encode(alert())["event"]
    assert (event["kind"], event["category"], event["type"]) == ("alert", ["intrusion_detection"], ["info"])


def test_names_of_our_own_never_depend_on_what_a_client_wrote() -> None:
    """Each new name is a new field of the index, and an index has a limited number."""

    def names(one: Alert) -> set[str]:
        return {name for name, _ in leaves(ecs.encode(one)["redshank"])}

    hostile = {**SAMPLE, "requestObject": {f"key{number}": number for number in range(1000)}}
    assert names(alert(samples=(hostile,))) == names(alert())


def test_severities_rise_with_levels_and_each_revision_has_its_number() -> None:
    severities = [ecs.encode(alert(level=level))["event"]["severity"] for level in Level]
    assert severities == sorted({*severities})
    assert ecs.encode(alert(revision=9))["event"]["sequence"] == 9


@pytest.mark.parametrize(
    ("sources", "ip"),
    [(("192.0.2.1",), "192.0.2.1"), (("evil", "2001:db8::1"), "2001:db8::1"), (("fe80::1%eth0",), None), ((), None)],
)
def test_only_addresses_go_where_addresses_are_wanted(sources: tuple[str, ...], ip: str | None) -> None:
    document = ecs.encode(alert(sources=sources))
    assert document.get("source", {}).get("ip") == ip
    assert document.get("source", {}).get("address") == (sources[0] if sources else None)


@pytest.mark.parametrize(
    ("code", "outcome"), [(201, "success"), (403, "failure"), (500, "failure"), (None, "unknown"), ("x", "unknown")]
)
def test_the_outcome_is_that_of_the_sampled_request(code: Any, outcome: str) -> None:
    sample = {**SAMPLE, "responseStatus": {"code": code}}
    assert ecs.encode(alert(samples=(sample,)))["event"]["outcome"] == outcome


def test_a_sample_too_long_to_keep_is_left_out_rather_than_cut() -> None:
    long = {**SAMPLE, "requestObject": ["x" * 4000] * 10}
    assert "original" not in ecs.encode(alert(samples=(long,)))["event"]
    assert ecs.encode(alert())["event"]["original"].endswith("}")
