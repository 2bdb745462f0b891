"""What every derived field promises: documented, never an exception, JSON-like, the same each time."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.event import Event
from detector.fields import DerivedField, all_fields, derived

FIELDS = all_fields()
SHAPES = {"text", "number", "boolean", "object", "object of text", "object of lists", "list of text", "list of objects"}
RESOURCES = [
    "pods", "deployments", "cronjobs", "podtemplates", "rollouts", "persistentvolumes", "secrets", "services", "nodes",
    "namespaces", "serviceaccounts", "clusterroles", "rolebindings", "mutatingwebhookconfigurations", "apiservices",
    "customresourcedefinitions", "certificatesigningrequests",
]  # fmt: skip
SUBRESOURCES = ["", "exec", "attach", "proxy", "token", "approval", "status", "ephemeralcontainers"]
GROUPS = ["", "apps", "rbac.authorization.k8s.io", "argoproj.io"]
KEYS = [
    "metadata", "name", "labels", "annotations", "uid", "spec", "template", "jobTemplate", "containers", "image",
    "ephemeralContainers", "command", "args", "volumes", "hostPath", "path", "securityContext", "capabilities", "add",
    "serviceAccountName", "rules", "verbs", "resources", "subjects", "kind", "namespace", "roleRef", "webhooks",
    "clientConfig", "url", "service", "conversion", "webhook", "request", "username", "status", "conditions", "type",
    "boundObjectRef", "audiences", "expirationSeconds", "op", "value", "from", "lifecycle", "exec", "aggregationRule",
]  # fmt: skip
WORDS = [
    "Status",
    "add",
    "remove",
    "replace",
    "copy",
    "User",
    "Group",
    "/spec/containers/0/image",
    "/rules/-",
    "a",
    "*",
]

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20)
)
bodies = st.recursive(
    scalars | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=40,
)
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace", "remove", "copy", "test"]) | scalars},
        optional={
            "path": st.lists(st.sampled_from([*KEYS, "0", "1", "-", "~1"]), max_size=8).map(
                lambda ends: "/" + "/".join(ends)
            )
            | scalars,
            "value": bodies,
            "from": scalars,
        },
    ),
    max_size=8,
)
texts = st.none() | st.text(max_size=30)
users = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "username": texts | st.sampled_from(["system:serviceaccount:a:b", "system:serviceaccount:", "system:node:"]),
        "groups": st.none() | st.lists(st.text(max_size=8), max_size=3),
        "extra": st.none()
        | st.dictionaries(st.text(max_size=8), st.none() | st.lists(st.text(max_size=8), max_size=2)),
    },
)
uris = (
    texts
    | st.text(alphabet="/?&=%+,!\\;abc01", max_size=80)
    | st.builds(
        "/api/v1/{}/x/proxy/run?command=%{}&fieldSelector={}&dryRun={}".format,
        st.text(),
        st.text(),
        st.text(),
        st.text(),
    )
)
events = st.fixed_dictionaries(
    {},
    optional={
        "verb": st.sampled_from(["create", "update", "patch", "get", "list", "delete", "watch"]) | texts,
        "requestURI": uris,
        "user": users,
        "impersonatedUser": users,
        "authenticationMetadata": st.none() | st.fixed_dictionaries({"impersonationConstraint": texts}),
        "sourceIPs": st.none() | st.lists(st.text(max_size=12) | st.ip_addresses().map(str), max_size=3),
        "userAgent": texts,
        "objectRef": st.none()
        | st.fixed_dictionaries(
            {"resource": st.sampled_from(RESOURCES) | texts},
            optional={
                "subresource": st.sampled_from(SUBRESOURCES) | texts,
                "apiGroup": st.sampled_from(GROUPS) | texts,
                "name": texts,
                "namespace": texts,
                "uid": texts,
            },
        ),
        "responseStatus": st.none()
        | st.fixed_dictionaries({}, optional={"code": st.none() | st.integers(-1, 600), "message": texts}),
        "annotations": st.none() | st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
        "requestObject": bodies | operations,
        "responseObject": bodies,
    },
)  # fmt: skip


def decode(record: dict[str, Any]) -> Event:
    return msgspec.json.decode(orjson.dumps(record, option=orjson.OPT_NON_STR_KEYS), type=Event)


def is_json(value: Any) -> bool:
    """Say whether a value is made of JSON's types, without recursion: bodies may be as deep as they like."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return False
            rest += item.values()
        elif isinstance(item, list):
            rest += item
        elif not isinstance(item, str | int | float | bool | None):
            return False
    return True


def has_shape(value: Any, shape: str) -> bool:
    """Say whether a value is what its field says it is."""
    match shape.split(" "):
        case ["list", "of", inner]:
            return isinstance(value, list) and all(isinstance(item, str if inner == "text" else dict) for item in value)
        case ["object", *_]:
            return isinstance(value, dict)
        case ["boolean"]:
            return isinstance(value, bool)
        case ["number"]:
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


@pytest.mark.parametrize("field", FIELDS.values(), ids=list(FIELDS))
def test_a_field_is_named_documented_and_has_a_known_shape(field: DerivedField) -> None:
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", field.name)
    assert field.name.partition(".")[0] not in Event.__struct_fields__, "it would hide an attribute of the event"
    assert field.shape in SHAPES
    assert len(field.doc) > 40
    assert "null " in " ".join(field.doc.lower().split()) or field.name == "truncated", (
        "the doc must say when it is null"
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events)
def test_no_event_makes_a_field_raise_or_lie_about_its_shape(record: dict[str, Any]) -> None:
    event = decode(record)
    before = orjson.dumps([event.request, event.response])
    values = {name: field(event) for name, field in FIELDS.items()}
    for name, value in values.items():
        assert is_json(value), name
        assert value is None or has_shape(value, FIELDS[name].shape), (name, value)
    assert orjson.dumps([event.request, event.response]) == before, "a field changed the bodies"
    again = decode(record)
    assert {name: FIELDS[name](again) for name in reversed(FIELDS)} == values, "the order of asking matters"


@pytest.mark.parametrize("field", FIELDS.values(), ids=list(FIELDS))
def test_an_empty_record_says_nothing(field: DerivedField) -> None:
    assert field(Event()) in (None, False)


DEEP = b'{"spec":' * 300 + b"1" + b"}" * 300
LISTS = b"[" * 300 + b"]" * 300
WIDE = orjson.dumps({"spec": {"containers": [{"image": "x", "args": ["y"] * 5}] * 5_000, "volumes": [{}] * 5_000}})
LONG = orjson.dumps(
    {"metadata": {"name": "n" * 500_000, "labels": {"l" * 500_000: "x"}}, "spec": {"request": "A" * 500_000}}
)
PATCH = orjson.dumps([{"op": "add", "path": "/spec/containers/0" + "/a" * 60, "value": {"b": [1]}}] * 5_000)
KEYED = b'{"rules":{"0":{"verbs":["*"]}},"subjects":{"kind":"User"},"webhooks":{"name":1},"metadata":[1]}'


@pytest.mark.parametrize(
    "body", [DEEP, LISTS, WIDE, LONG, PATCH, KEYED], ids=["deep", "lists", "wide", "long", "patch", "keyed"]
)
@pytest.mark.parametrize("resource", RESOURCES)
def test_deep_and_huge_bodies_are_read_in_time(body: bytes, resource: str) -> None:
    event = decode({"verb": "patch", "objectRef": {"resource": resource, "apiGroup": "argoproj.io"}})
    event.requestObject = msgspec.Raw(body)
    event.responseObject = msgspec.Raw(body)
    start = perf_counter()
    for field in FIELDS.values():
        field(event)
    assert perf_counter() - start < 3


def test_a_value_is_worked_out_once() -> None:
    event = Event(verb="get")
    calls: list[Event] = []
    field = DerivedField("x", "text", "doc", calls.append)
    assert (field(event), field(event), len(calls)) == (None, None, 1)


@pytest.mark.parametrize("name", ["actor", "undocumented.field"])
def test_a_field_needs_a_name_of_its_own_and_documentation(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        derived(name, "text")(lambda event: None)
    assert "undocumented.field" not in all_fields()
