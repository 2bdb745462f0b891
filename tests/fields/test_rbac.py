"""Who is given which powers."""

from __future__ import annotations

from typing import Any

import pytest

from detector.event import Event
from detector.fields import value_of
from tests.fields.making import event

ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
USER = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "hugo@acme.example"}
ROBOT = {"kind": "ServiceAccount", "namespace": "shop", "name": "api"}
GROUP = {"kind": "Group", "name": "system:authenticated"}


def bind(subjects: Any, **attributes: Any) -> Event:
    body = {"subjects": subjects, "roleRef": {"apiGroup": "rbac", "kind": "ClusterRole", "name": "cluster-admin"}}
    return event("create", "clusterrolebindings", "b", request=body, **attributes)


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("create", {"kind": "ClusterRole", "rules": [ALL]}),
        ("update", {"kind": "ClusterRole", "rules": [ALL]}),
        ("patch", {"rules": [ALL]}),
        ("patch", [{"op": "add", "path": "/rules/-", "value": ALL}]),
        ("patch", [{"op": "replace", "path": "/rules", "value": [ALL]}]),
    ],
)
def test_rules_read_the_same_from_every_write(verb: str, body: Any) -> None:
    assert value_of("rbac.rules", event(verb, "clusterroles", "r", request=body)) == [ALL]


def test_a_patch_inside_a_rule_is_completed_from_the_answer() -> None:
    body = [{"op": "add", "path": "/rules/0/verbs/-", "value": "*"}]
    assert value_of("rbac.rules", event("patch", "clusterroles", request=body)) == [{"verbs": ["*"]}]
    answer = {"kind": "ClusterRole", "rules": [ALL]}
    assert value_of("rbac.rules", event("patch", "clusterroles", request=body, response=answer)) == [ALL]


def test_a_removed_rule_is_no_rule() -> None:
    body = [{"op": "remove", "path": "/rules/1"}]
    assert value_of("rbac.rules", event("patch", "clusterroles", request=body)) == []


def test_other_requests_and_groups_have_no_rules() -> None:
    assert value_of("rbac.rules", event("get", "clusterroles", response={"rules": [ALL]})) is None
    assert value_of("rbac.rules", event("create", "clusterroles")) is None
    foreign = {"resource": "roles", "apiGroup": "iam.acme.example"}
    assert value_of("rbac.rules", event("create", objectRef=foreign, request={"rules": [ALL]})) is None


def test_subjects_carry_the_name_they_act_under() -> None:
    assert value_of("rbac.subjects", bind([USER, ROBOT, GROUP, {"kind": "ServiceAccount", "name": "x"}])) == [
        {**USER, "user": "hugo@acme.example"},
        {**ROBOT, "user": "system:serviceaccount:shop:api"},
        {**GROUP, "user": None},
        {"kind": "ServiceAccount", "name": "x", "user": None},
    ]


def test_a_json_patch_gives_the_subjects_it_adds() -> None:
    body = [{"op": "add", "path": "/subjects/-", "value": USER}]
    answer = {"subjects": [GROUP, USER], "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}
    patch = event("patch", "clusterrolebindings", "sre", request=body, response=answer)
    assert value_of("rbac.subjects", patch) == [{**USER, "user": "hugo@acme.example"}]
    assert value_of("rbac.role", patch) == {"kind": "ClusterRole", "name": "cluster-admin"}


def test_the_role_is_in_the_request_or_else_in_the_answer() -> None:
    assert value_of("rbac.role", bind([])) == {"kind": "ClusterRole", "name": "cluster-admin"}
    assert value_of("rbac.role", event("patch", "rolebindings", request={"subjects": []})) is None
    assert value_of("rbac.role", event("create", "clusterroles", request={"roleRef": {"name": "x"}})) is None


@pytest.mark.parametrize(
    "body",
    [
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io"}, "subjects": [USER]},
        [
            {"op": "replace", "path": "/roleRef/apiGroup", "value": "rbac.authorization.k8s.io"},
            {"op": "add", "path": "/subjects/-", "value": USER},
        ],
    ],
    ids=["merge patch", "JSON patch"],
)
def test_a_role_named_in_part_is_completed_from_the_answer(body: Any) -> None:
    answer = {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}}
    patch = event("patch", "clusterrolebindings", "b", request=body, response=answer)
    assert value_of("rbac.role", patch) == {"kind": "ClusterRole", "name": "cluster-admin"}


def test_aggregation_is_a_label_or_a_rule() -> None:
    labels = {
        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
        "rbac.authorization.k8s.io/aggregate-to-view": "false",
    }
    role = event("create", "clusterroles", request={"metadata": {"labels": labels}, "aggregationRule": {"x": []}})
    assert value_of("rbac.aggregates", role) == ["aggregate-to-edit", "aggregationRule"]
    assert value_of("rbac.aggregates", event("create", "clusterroles", request={"rules": []})) == []
    assert value_of("rbac.aggregates", event("create", "clusterroles")) is None


@pytest.mark.parametrize(
    ("actor", "subjects", "own"),
    [
        ({"username": "hugo@acme.example"}, [ROBOT, USER], True),
        ({"username": "system:serviceaccount:shop:api"}, [ROBOT], True),
        ({"username": "noa", "groups": ["system:authenticated"]}, [GROUP], True),
        ({"username": "noa", "groups": ["dev"]}, [GROUP, USER, ROBOT], False),
        ({"username": "system:authenticated"}, [GROUP], False),
        ({}, [{"kind": "User"}], False),
    ],
)
def test_a_grant_to_oneself(actor: dict[str, Any], subjects: list[Any], own: bool) -> None:
    assert value_of("rbac.selfgrant", bind(subjects, user=actor)) is own


def test_a_grant_to_oneself_under_another_name() -> None:
    masked = bind([USER], username="hugo@acme.example", impersonatedUser={"username": "admin"})
    assert value_of("rbac.selfgrant", masked) is True


def test_whether_an_unseen_grant_is_to_oneself_is_unknown() -> None:
    assert value_of("rbac.selfgrant", event("create", "clusterrolebindings", username="noa")) is None


@pytest.mark.parametrize(
    "junk", [None, 3, "x", {}, [None], [[]], [{"kind": [], "name": {}, "namespace": 1}], {"a": []}]
)
def test_wrong_shapes_are_passed_over(junk: Any) -> None:
    binding = bind(junk, username="noa", user={"groups": ["dev"]})
    assert value_of("rbac.selfgrant", binding) is False
    role = event("update", "clusterroles", request={"rules": junk, "metadata": {"labels": junk}})
    assert isinstance(value_of("rbac.rules", role), list)
    assert value_of("rbac.aggregates", role) == []
