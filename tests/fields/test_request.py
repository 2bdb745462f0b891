"""What a request does to what."""

from __future__ import annotations

from typing import Any

import pytest

from detector.fields import value_of
from tests.fields.making import event


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(101, "allowed"), (200, "allowed"), (302, "allowed"), (401, "denied"), (403, "denied"), (404, "failed"),
     (409, "failed"), (422, "failed"), (500, "failed"), (None, None), (0, None)],
)  # fmt: skip
def test_outcome_follows_the_answers_code(code: int | None, outcome: str | None) -> None:
    assert value_of("outcome", event(code=code)) == outcome


def test_a_forbidding_authorizer_is_a_denial_whatever_the_code() -> None:
    assert value_of("outcome", event(annotations={"authorization.k8s.io/decision": "forbid"})) == "denied"
    assert value_of("outcome", event(annotations={"authorization.k8s.io/decision": "allow"}, code=404)) == "failed"


@pytest.mark.parametrize(
    ("verb", "write"), [("create", True), ("deletecollection", True), ("get", False), ("watch", False), (None, None)]
)
def test_writes_are_told_by_the_verb(verb: Any, write: bool | None) -> None:
    assert value_of("write", event(verb)) is write


def test_dry_runs_are_told_by_query_or_options() -> None:
    assert value_of("dry_run", event("patch", "pods", requestURI="/api/v1/pods/x?force=true&dryRun=All")) is True
    assert value_of("dry_run", event("delete", "pods", request={"kind": "DeleteOptions", "dryRun": ["All"]})) is True
    assert value_of("dry_run", event("create", "pods", request={"dryRun": ["All"]})) is False
    assert value_of("dry_run", event("get", "pods")) is None


@pytest.mark.parametrize("key", ["pods/exec", "pods/attach", "pods/portforward", "services/proxy", "nodes/proxy"])
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_connections_take_no_notice_of_dry_run(verb: str, key: str) -> None:
    assert value_of("dry_run", event(verb, key, requestURI="/api/v1/x?dryRun=All")) is None


@pytest.mark.parametrize(
    "key",
    ["serviceaccounts/token", "tokenreviews", "subjectaccessreviews", "localsubjectaccessreviews",
     "selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"],
)  # fmt: skip
def test_tokens_and_reviews_are_answered_in_earnest_whatever_dry_run_says(key: str) -> None:
    assert value_of("dry_run", event("create", key, requestURI="/api/v1/x?dryRun=All")) is None


@pytest.mark.parametrize("key", ["serviceaccounts", "pods/eviction", "pods/binding", "tokens"])
def test_what_heeds_dry_run_can_be_tried(key: str) -> None:
    assert value_of("dry_run", event("create", key, requestURI="/api/v1/x?dryRun=All")) is True


def test_key_is_the_resource_as_rbac_names_it() -> None:
    assert value_of("key", event("get", "pods/exec")) == "pods/exec"
    assert value_of("key", event("get", "secrets")) == "secrets"
    assert value_of("key", event("get", requestURI="/version")) is None


@pytest.mark.parametrize(
    ("ref", "target"),
    [
        ({"resource": "pods", "namespace": "shop", "name": "api-0", "subresource": "exec"}, "shop/pods/api-0/exec"),
        ({"resource": "clusterroles", "name": "view"}, "clusterroles/view"),
        ({"resource": "namespaces", "namespace": "shop", "name": "shop"}, "namespaces/shop"),
        ({"resource": "secrets"}, "secrets"),
        (None, "/healthz"),
    ],
)
def test_target_is_for_people(ref: Any, target: str) -> None:
    assert value_of("target", event(objectRef=ref, requestURI="/healthz?verbose")) == target


def test_the_name_made_from_generate_name_is_in_the_answer() -> None:
    pod = event(
        "create",
        "pods",
        request={"kind": "Pod", "metadata": {"generateName": "cleanup-"}},
        response={"kind": "Pod", "metadata": {"name": "cleanup-x7k2p", "uid": "u-1"}},
    )
    assert value_of("object.name", pod) == "cleanup-x7k2p"
    assert value_of("object.uid", pod) == "u-1"
    assert value_of("target", pod) == "pods/cleanup-x7k2p"


def test_without_an_answer_a_generated_name_is_unknown() -> None:
    assert value_of("object.name", event("create", "pods", request={"metadata": {"generateName": "x-"}})) is None
    refused = event("create", "pods", response={"kind": "Status", "metadata": {"name": "x"}})
    assert value_of("object.name", refused) is None


def test_names_come_from_reference_then_request() -> None:
    assert value_of("object.name", event("create", "pods", "a", request={"metadata": {"name": "b"}})) == "a"
    assert value_of("object.name", event("create", "pods", request={"metadata": {"name": "b"}})) == "b"


def test_a_deleted_objects_uid_is_in_the_status() -> None:
    deleted = event("delete", "pods", response={"kind": "Status", "metadata": {}, "details": {"uid": "u-2"}})
    assert value_of("object.uid", deleted) == "u-2"


MERGE = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged", "team": None}}}
JSON_PATCH = [
    {"op": "replace", "path": "/metadata/labels/pod-security.kubernetes.io~1enforce", "value": "privileged"},
    {"op": "remove", "path": "/metadata/labels/team"},
]


@pytest.mark.parametrize("body", [MERGE, JSON_PATCH])
def test_labels_read_the_same_from_every_patch(body: Any) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "privileged", "team": None}
    assert value_of("object.labels", event("patch", "namespaces", request=body)) == labels
    assert value_of("object", event("patch", "namespaces", request=body)) == MERGE


@pytest.mark.parametrize("body", [MERGE, JSON_PATCH])
def test_patch_paths_read_the_same_from_every_patch(body: Any) -> None:
    paths = ["metadata.labels.pod-security.kubernetes.io/enforce", "metadata.labels.team"]
    assert value_of("patch.paths", event("patch", "namespaces", request=body)) == paths


def test_patch_paths_have_no_indexes_and_reach_into_values() -> None:
    steps = [
        {"op": "add", "path": "/spec/containers/0", "value": {"image": "x", "env": [{"name": "A"}, {"name": "B"}]}},
        {"op": "move", "from": "/spec/a", "path": "/spec/b"},
        {"op": "add", "path": "/subjects/-", "value": "x"},
    ]
    expected = ["spec.containers.image", "spec.containers.env.name", "spec.b", "spec.a", "subjects"]
    assert value_of("patch.paths", event("patch", "pods", request=steps)) == expected


def test_patch_paths_are_bounded_and_only_of_patches() -> None:
    many = event("patch", "configmaps", request={"data": {str(number): "x" for number in range(5_000)}})
    assert len(value_of("patch.paths", many)) == 200
    assert value_of("patch.paths", event("update", "configmaps", request={"data": {}})) is None
    assert value_of("patch.paths", event("patch", "configmaps")) is None


def test_object_is_the_body_and_only_of_writes() -> None:
    body = {"kind": "Service", "metadata": {"annotations": {"a": "b"}}}
    created = event("create", "services", request=body, response={"kind": "Service", "spec": {}})
    assert value_of("object", created) == body
    assert value_of("object.annotations", created) == {"a": "b"}
    assert value_of("object.labels", created) is None
    assert value_of("object", event("delete", "services", request={"kind": "DeleteOptions"})) is None
    assert value_of("object", event("create", "services")) is None


def test_the_answer_stands_in_for_an_unreadable_request() -> None:
    replaced = event(
        "create", "pods", request="skipped-too-big-size-object", response={"kind": "Pod", "spec": {"x": 1}}
    )
    assert value_of("object", replaced) == {"kind": "Pod", "spec": {"x": 1}}
    failed = event("create", "pods", request="skipped-too-big-size-object", response={"kind": "Status"})
    assert value_of("object", failed) is None


def test_a_patch_that_copies_is_read_from_the_answer() -> None:
    steps = [{"op": "copy", "from": "/spec/a", "path": "/spec/b"}, {"op": "add", "path": "/spec/c", "value": 1}]
    whole = {"kind": "Pod", "spec": {"a": 1, "b": 1, "c": 1}}
    assert value_of("object", event("patch", "pods", request=steps, response=whole)) == whole
    assert value_of("object", event("patch", "pods", request=steps, response={"kind": "Status"})) == {"spec": {"c": 1}}


def test_building_a_patchs_object_leaves_the_request_alone() -> None:
    steps = [{"op": "add", "path": "/a", "value": {}}, {"op": "add", "path": "/a/b", "value": 1}]
    patch = event("patch", "pods", request=steps)
    assert value_of("object", patch) == {"a": {"b": 1}}
    assert patch.request == steps


def test_truncated_records_are_marked() -> None:
    assert value_of("truncated", event(annotations={"audit.k8s.io/truncated": "true"})) is True
    assert value_of("truncated", event(request="skipped-too-big-size-object")) is True
    assert value_of("truncated", event(response="skipped-too-big-size-object")) is True
    assert value_of("truncated", event("create", "pods", request={"kind": "Pod"}, requestURI="/api/v1/pods")) is False


@pytest.mark.parametrize(
    ("received", "reached", "seconds"),
    [
        ("2026-11-22T10:00:00.500000Z", "2026-11-22T14:00:01.000000Z", 14_400.5),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z", 0),
        ("2026-11-22T10:00:01Z", "2026-11-22T10:00:00Z", None),
        (None, "2026-11-22T10:00:00Z", None),
        ("2026-11-22T10:00:00Z", "yesterday", None),
    ],
)
def test_a_requests_duration_runs_from_its_arrival_to_the_stage(received: Any, reached: Any, seconds: Any) -> None:
    times = {"requestReceivedTimestamp": received, "stageTimestamp": reached}
    assert value_of("request.duration", event(**times)) == seconds
