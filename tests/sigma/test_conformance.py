"""The meaning of rules, as a table: detection, event, whether it holds. One row a fact.

Every row is asked three ways, which must agree: the plain meaning (`holds`), the compiled program, and explain.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import yaml

from detector.event import Event
from detector.formats import decode_event
from detector.sigma.compile import Compiler
from detector.sigma.explain import explain
from detector.sigma.facets import Vocabulary
from detector.sigma.load import load
from detector.sigma.predicate import holds
from detector.sigma.selftest import filled_in
from detector.sigma.source import RuleFile

MOMENT = "2026-01-01T00:00:00Z"


def event(**attributes: Any) -> Event:
    return decode_event(orjson.dumps(filled_in(attributes, 0, MOMENT)))


def predicate(detection: str) -> Any:
    """Load ``detection`` (the YAML below ``detection:``; without a condition it is the one selection ``sel``)."""
    body = yaml.safe_load(detection)
    if "condition" not in body:
        body = {"sel": body, "condition": "sel"}
    rule = {"title": "T", "logsource": {"product": "kubernetes", "service": "audit"}, "detection": body}
    return load([RuleFile("t.yml", yaml.safe_dump(rule))]).rules[0].predicate


def outcomes(detection: str, subject: Event) -> set[bool]:
    node = predicate(detection)
    program = Compiler([(0, node)]).program(Vocabulary([node]).key(subject))
    return {holds(node, subject), explain(node, subject).passed, bool(program and program(subject, 0))}


POD = {"verb": "create", "objectRef": {"resource": "pods", "namespace": "a", "apiVersion": "v1"}}
TWO = {
    **POD,
    "requestObject": {
        "kind": "Pod",
        "spec": {
            "containers": [
                {"name": "a", "image": "safe/app", "securityContext": {"privileged": True}},
                {"name": "b", "image": "evil/app", "securityContext": {"privileged": False}},
            ]
        },
    },
}
ROLE = {
    "verb": "create",
    "objectRef": {"resource": "clusterroles", "apiGroup": "rbac.authorization.k8s.io"},
    "requestObject": {
        "rules": [
            {"verbs": ["get", "list"], "resources": ["secrets"]},
            {"verbs": ["*"], "resources": ["pods"]},
        ]
    },
}
SECRET = {"verb": "get", "objectRef": {"resource": "secrets", "namespace": "prod", "name": "DB-Password"}}
LABELLED = {"requestObject": {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}}
BARE = {"user": None, "userAgent": None, "objectRef": None, "responseStatus": None, "annotations": None}

TABLE: list[tuple[str, str, dict[str, Any], bool]] = [
    # strings
    ("equal ignores case", "verb: GET", {"verb": "get"}, True),
    ("equal ignores case of the event", "objectRef.name: db-password", SECRET, True),
    ("equal is whole", "objectRef.name: db", SECRET, False),
    ("cased equal", "objectRef.name|cased: DB-Password", SECRET, True),
    ("cased differs", "objectRef.name|cased: db-password", SECRET, False),
    ("cased on an indexed field", "verb|cased: GET", {"verb": "get"}, False),
    ("alternatives", "verb: [list, get]", SECRET, True),
    ("wildcard at the end", "objectRef.name: db*", SECRET, True),
    ("wildcard in the middle", "objectRef.name: d*w?rd", SECRET, True),
    ("single wildcard needs a character", "objectRef.name: db?password?", SECRET, False),
    ("escaped wildcard is literal", r"objectRef.name: db\*", SECRET, False),
    ("contains", "objectRef.name|contains: pass", SECRET, True),
    ("contains all", "objectRef.name|contains|all: [db, pass]", SECRET, True),
    ("contains all fails on one", "objectRef.name|contains|all: [db, x]", SECRET, False),
    ("startswith", "objectRef.name|startswith: db", SECRET, True),
    ("endswith", "objectRef.name|endswith: word", SECRET, True),
    ("cased contains", "objectRef.name|contains|cased: pass", SECRET, False),
    ("regular expression is cased", "objectRef.name|re: '^db'", SECRET, False),
    ("regular expression ignoring case", "objectRef.name|re|i: '^db-.*d$'", SECRET, True),
    ("regular expression searches", "objectRef.name|re: 'Pass'", SECRET, True),
    ("wildcards cross line ends", "userAgent: 'a*b'", {"userAgent": "a\nb"}, True),
    ("empty string is not absent", "userAgent: ''", BARE, False),
    ("empty string equals empty", "userAgent: ''", {"userAgent": ""}, True),
    ("lone star needs a value", "userAgent: '*'", BARE, False),
    (
        "windash",
        "exec.command|contains|windash: ' -c'",
        {
            "requestURI": "/api/v1/namespaces/a/pods/p/exec?command=sh&command=-c",
            "objectRef": {"resource": "pods", "subresource": "exec", "name": "p"},
        },
        True,
    ),
    ("base64", "objectRef.name|base64|contains: foo", {"objectRef": {"resource": "pods", "name": "xZm9vx"}}, True),
    (
        "base64offset",
        "objectRef.name|base64offset|contains: foobar",
        {"objectRef": {"resource": "pods", "name": "xZm9vYmFy"}},
        True,
    ),
    # numbers and booleans
    ("number equals number", "responseStatus.code: 403", {"responseStatus": {"code": 403}}, True),
    ("number equals text", "responseStatus.code: '403'", {"responseStatus": {"code": 403}}, True),
    ("text equals number", "objectRef.name: 403", {"objectRef": {"resource": "pods", "name": "403"}}, True),
    ("gte", "responseStatus.code|gte: 400", {"responseStatus": {"code": 403}}, True),
    ("lt", "responseStatus.code|lt: 400", {"responseStatus": {"code": 403}}, False),
    ("gt on a text is false", "objectRef.name|gt: 1", {"objectRef": {"resource": "pods", "name": "5"}}, False),
    ("gt on nothing is false", "responseStatus.code|gt: 1", BARE, False),
    ("lt on nothing is false", "responseStatus.code|lt: 1", BARE, False),
    ("neq on a number", "responseStatus.code|neq: 200", {"responseStatus": {"code": 403}}, True),
    ("boolean", "requestObject.spec.hostPID: true", {**POD, "requestObject": {"spec": {"hostPID": True}}}, True),
    (
        "boolean as text",
        "requestObject.spec.hostPID: 'true'",
        {**POD, "requestObject": {"spec": {"hostPID": True}}},
        True,
    ),
    ("absent boolean is not false", "requestObject.spec.hostPID: false", {**POD, "requestObject": {"spec": {}}}, False),
    (
        "boolean is not a number",
        "requestObject.spec.hostPID|gte: 1",
        {**POD, "requestObject": {"spec": {"hostPID": True}}},
        False,
    ),
    # null and exists
    ("absent is null", "userAgent: null", BARE, True),
    ("present is not null", "userAgent: null", {}, False),
    ("null in the body is null", "requestObject.a: null", {"requestObject": {"a": None}}, True),
    ("exists", "objectRef.name|exists: true", SECRET, True),
    ("exists false", "objectRef.subresource|exists: false", SECRET, True),
    ("null does not exist", "requestObject.a|exists: true", {"requestObject": {"a": None}}, False),
    ("null of an indexed field", "objectRef.subresource: null", SECRET, True),
    ("null of an absent object", "objectRef.resource: null", BARE, True),
    ("null or a value", "userAgent: [null, x]", BARE, True),
    # lists
    (
        "any element",
        "user.groups: system:masters",
        {"user": {"username": "x", "groups": ["a", "system:masters"]}},
        True,
    ),
    ("no element", "user.groups: b", {"user": {"username": "x", "groups": ["a"]}}, False),
    ("not means no element", "{sel: {user.groups: a}, condition: not sel}", {"user": {"groups": ["b", "a"]}}, False),
    ("not of nothing", "{sel: {user.groups: a}, condition: not sel}", BARE, True),
    ("all across elements", "user.groups|all: [a, b]", {"user": {"groups": ["a", "b"]}}, True),
    ("a path goes through lists", "requestObject.spec.containers.image|contains: evil", TWO, True),
    (
        "different elements without []",
        "{requestObject.spec.containers.image|contains: evil, "
        "requestObject.spec.containers.securityContext.privileged: true}",
        TWO,
        True,
    ),
    (
        "the same element with []",
        "{'requestObject.spec.containers[].image|contains': evil, "
        "'requestObject.spec.containers[].securityContext.privileged': true}",
        TWO,
        False,
    ),
    (
        "the same element with [] holds",
        "{'requestObject.spec.containers[].image|contains': safe, "
        "'requestObject.spec.containers[].securityContext.privileged': true}",
        TWO,
        True,
    ),
    (
        "derived list with []",
        "{'containers[].image|contains': evil, 'containers[].securityContext.privileged': true}",
        TWO,
        False,
    ),
    ("derived list with [] holds", "{'containers[].image|contains': evil, 'containers[].name': b}", TWO, True),
    ("null inside an element", "{'containers[].name': a, 'containers[].command': null}", TWO, True),
    (
        "lists of texts within an element",
        "{'rbac.rules[].resources': secrets, 'rbac.rules[].verbs': '\\*'}",
        ROLE,
        False,
    ),
    (
        "lists of texts within an element hold",
        "{'rbac.rules[].resources': secrets, 'rbac.rules[].verbs': get}",
        ROLE,
        True,
    ),
    (
        "two selections may speak of two elements",
        "{a: {'rbac.rules[].resources': secrets}, b: {'rbac.rules[].verbs': '\\*'}, condition: a and b}",
        ROLE,
        True,
    ),
    # paths
    (
        "rest after labels is one key",
        "requestObject.metadata.labels.pod-security.kubernetes.io/enforce: privileged",
        LABELLED,
        True,
    ),
    ("rest after annotations is one key", "annotations.authorization.k8s.io/decision: allow", {}, True),
    (
        "rest after extra is one key",
        "user.extra.authentication.kubernetes.io/pod-name: p",
        {"user": {"extra": {"authentication.kubernetes.io/pod-name": ["p"]}}},
        True,
    ),
    ("a body that is a text", "requestObject: skipped*", {"requestObject": "skipped-too-big-size-object"}, True),
    ("a path into a text is nothing", "requestObject.spec: null", {"requestObject": "x"}, True),
    (
        "a JSON patch is a list",
        "requestObject.path: /spec/replicas",
        {"requestObject": [{"op": "replace", "path": "/spec/replicas", "value": 0}]},
        True,
    ),
    ("objects are not texts", "requestObject.spec: '*x*'", TWO, False),
    ("published loose name", "apiGroup: rbac.authorization.k8s.io", ROLE, True),
    # cidr, references, keywords
    ("cidr", "source.ip|cidr: 192.0.2.0/24", {}, True),
    ("cidr of an IPv4-mapped address", "source.ip|cidr: 192.0.2.0/24", {"sourceIPs": ["::ffff:192.0.2.7"]}, True),
    ("cidr of garbage", "source.ip|cidr: 192.0.2.0/24", {"sourceIPs": ["192.0.2.0.1"]}, False),
    (
        "field reference",
        "impersonatedUser.username|fieldref: user.username",
        {"impersonatedUser": {"username": "JANE@example.com"}},
        True,
    ),
    ("field reference to nothing", "userAgent|fieldref: impersonatedUser.username", {}, False),
    (
        "field reference starts with",
        "requestURI|fieldref|startswith: userAgent",
        {"userAgent": "/a", "requestURI": "/ab"},
        True,
    ),
    ("keywords", "[evil/app, nothing]", TWO, True),
    ("keywords ignore case", "[EVIL/APP]", TWO, True),
    ("keywords, none", "[absent]", TWO, False),
    # conditions
    ("1 of", "{a_1: {verb: get}, a_2: {verb: list}, condition: 1 of a_*}", SECRET, True),
    ("all of", "{a_1: {verb: get}, a_2: {verb: list}, condition: all of a_*}", SECRET, False),
    ("all of them", "{a_1: {verb: get}, b: {objectRef.resource: secrets}, condition: all of them}", SECRET, True),
    (
        "alternatives in a selection",
        "{sel: [{verb: list}, {objectRef.resource: secrets}], condition: sel}",
        SECRET,
        True,
    ),
    ("precedence", "{a: {verb: get}, b: {verb: list}, c: {verb: get}, condition: a or b and not c}", SECRET, True),
    ("several conditions are alternatives", "{a: {verb: list}, b: {verb: get}, condition: [a, b]}", SECRET, True),
    # odd requests
    ("unknown verbs match patterns", "verb: x-*", {"verb": "x-frob"}, True),
    ("unknown verbs are not null", "verb: null", {"verb": "x-frob"}, False),
    ("key of a subresource", "key: pods/exec", {"objectRef": {"resource": "pods", "subresource": "exec"}}, True),
    ("key of a resource", "key: pods", {"objectRef": {"resource": "pods", "subresource": "exec"}}, False),
    ("key by pattern", "key: pods/*", {"objectRef": {"resource": "pods", "subresource": "frob"}}, True),
    ("upper case resource", "objectRef.resource: pods", {"objectRef": {"resource": "PODS"}}, True),
]


@pytest.mark.parametrize(
    ("detection", "attributes", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_detection_means_what_the_table_says(detection: str, attributes: dict[str, Any], expected: bool) -> None:
    assert outcomes(detection, event(**attributes)) == {expected}
