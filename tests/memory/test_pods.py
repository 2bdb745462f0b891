"""What memory knows of pods and workloads: their risk, and the people behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.event import Event
from detector.fields.pod import plain_path
from detector.memory import Memory
from detector.memory.risk import MOST, risk_of
from tests.memory.teaching import CLOSED, CONTROLLER, OPEN, pod, request, teach, told, workload

EXEC = request("get", "pods/exec", "web", at=9)
NODE = "system:node:n1"
RULE = Path(__file__).parents[2] / "rules/privilege-escalation/host-path.yml"


def created(name: str = "web", spec: dict[str, Any] = OPEN, **more: Any) -> Event:
    return request("create", "pods", name, response=pod(name, spec), **more)


def privileged(*events: Event) -> Any:
    return told(teach(Memory(), *events), "target.pod.privileged", EXEC)


def test_an_exec_is_told_of_the_pod_it_enters() -> None:
    spec = {
        **OPEN,
        "hostPID": True,
        "hostNetwork": False,
        "serviceAccountName": "robot",
        "nodeName": "n1",
        "volumes": [{"hostPath": {"path": "//var/log/"}}, {"secret": {}}],
    }
    memory = teach(Memory(), created(spec=spec, by="mallory"))
    answers = {
        "privileged": True,
        "host_namespaces": ["hostPID"],
        "host_path": ["/var/log"],
        "capabilities": [],
        "service_account": "robot",
        "node": "n1",
        "created_by": "mallory",
        "changed_by": "mallory",
        "owner": None,
    }
    assert {name: told(memory, f"target.pod.{name}", EXEC) for name in answers} == answers


def test_a_pod_is_reached_through_its_kubelet_too() -> None:
    uri = "/api/v1/nodes/n1/proxy/run/prod/web/c?cmd=id"
    asked = request("create", "nodes/proxy", "n1", requestURI=uri)
    assert told(teach(Memory(), created()), "target.pod.privileged", asked) is True


@pytest.mark.parametrize(
    "more",
    [{"code": 403}, {"code": 409}, {"requestURI": "/?dryRun=All"}, {"responseStatus": None}],
    ids=["denied", "failed", "dry run", "no answer"],
)
def test_what_did_not_happen_teaches_nothing(more: dict[str, Any]) -> None:
    one = created(**{name: value for name, value in more.items() if name != "responseStatus"})
    if "responseStatus" in more:
        one.responseStatus = None
    assert privileged(one) is None


def test_without_a_body_nothing_is_known_of_a_pod() -> None:
    assert privileged(request("create", "pods", "web")) is None
    assert privileged(created(), request("create", "pods", "web", at=1)) is None


def test_an_answer_with_the_metadata_alone_passes_for_no_pod() -> None:
    hidden = {"kind": "PartialObjectMetadata", "metadata": {"name": "web"}}
    assert privileged(request("create", "pods", "web", response=hidden)) is None
    assert privileged(request("create", "pods", "web", response=hidden, request=pod("web", OPEN))) is True


def test_a_generated_name_is_learned_from_the_answer() -> None:
    assert privileged(request("create", "pods", request={"spec": OPEN}, response=pod("web", OPEN))) is True


def test_a_pod_that_was_there_before_is_learned_when_its_body_is_seen() -> None:
    assert privileged(request("patch", "pods", "web", by=NODE, response=pod("web", OPEN))) is True
    assert privileged(request("patch", "pods/status", "web", by=NODE, request={"status": {}})) is None


def test_labels_and_status_change_nothing_of_a_pod() -> None:
    label = request("patch", "pods", "web", at=1, by="bob")
    status = request("patch", "pods/status", "web", at=2, by=NODE)
    memory = teach(Memory(), created(), label, status)
    assert told(memory, "target.pod.privileged", EXEC) is True
    assert told(memory, "target.pod.changed_by", EXEC) == "alice"


@pytest.mark.parametrize(
    ("bodies", "wanted"),
    [
        ({"response": pod("web", {**CLOSED, "ephemeralContainers": OPEN["containers"]})}, True),
        ({"request": {"spec": {"ephemeralContainers": OPEN["containers"]}}}, True),
        ({"request": {"spec": {"ephemeralContainers": CLOSED["containers"]}}}, False),
        ({}, None),
    ],
)
def test_a_container_that_is_added_may_make_a_pod_privileged(bodies: dict[str, Any], wanted: Any) -> None:
    added = request("patch", "pods/ephemeralcontainers", "web", at=1, by="mallory", **bodies)
    memory = teach(Memory(), created(spec=CLOSED), added)
    assert told(memory, "target.pod.privileged", EXEC) is wanted
    assert told(memory, "target.pod.changed_by", EXEC) == "mallory"


def test_an_unseen_container_does_not_hide_that_a_pod_is_privileged() -> None:
    assert privileged(created(), request("patch", "pods/ephemeralcontainers", "web", at=1)) is True


def leading() -> list[str]:
    """Give the paths that the rule on sensitive folders names, and some that it describes."""
    folder = next(yaml.safe_load_all(RULE.read_text()))["detection"]["folder"]
    exact, beneath = folder[0]["host_paths"], folder[1]["host_paths|startswith"]
    described = ["/run/docker.sock", "/x/crio.sock", "/etc/shadow", "/home/a/.ssh", "/dev", "/dev/sda", "/dev/nvme0n1"]
    windows = ["/c:/windows/x", "/C:", "/pipe/docker_engine"]
    return [*exact, *beneath, *described, *windows, "/var/lib/kubelet/pods/x", "/var/lib/kubelet/pki", "/sys"]


@pytest.mark.parametrize("path", leading())
def test_harmless_folders_in_front_hide_no_path_to_the_node(path: str) -> None:
    harmless = [f"/{where}{number}" for number in range(8) for where in ("data/", "etc/x", "dev/dri")]
    volumes = [{"name": "v", "hostPath": {"path": one}} for one in (*harmless, path)]
    risk = risk_of({**CLOSED, "volumes": volumes})
    assert risk.host_paths[0] == plain_path(path)
    assert len(risk.host_paths) == MOST


def test_a_pod_that_is_being_deleted_is_still_known() -> None:
    graceful = request("delete", "pods", "web", at=1, response=pod("web", OPEN))
    assert privileged(created(), graceful) is True
    assert privileged(created(), graceful, request("delete", "pods", "web", at=2, by=NODE)) is None
    assert privileged(created(), request("delete", "pods", "web", at=1, response={"kind": "Status"})) is None


def chain(by: str = "alice") -> list[Event]:
    deployment, name = "system:serviceaccount:kube-system:deployment-controller", CONTROLLER.format("replicaset")
    return [
        request("create", "deployments", "web", by=by, response=workload("Deployment", "web", CLOSED)),
        request(
            "create",
            "replicasets",
            at=1,
            by=deployment,
            response=workload("ReplicaSet", "web-1", CLOSED, ("Deployment", "web")),
        ),
        request("create", "pods", at=2, by=name, response=pod("web", CLOSED, ("ReplicaSet", "web-1"))),
    ]


def test_the_person_behind_a_pod_is_found_through_its_controllers() -> None:
    *before, last = chain()
    memory = teach(Memory(), *before)
    assert told(memory, "target.owner.name", last) == "Deployment/web"
    assert told(memory, "target.owner.changed_by", last) == "alice"
    assert told(memory, "target.owner.created_by", last) == "system:serviceaccount:kube-system:deployment-controller"
    teach(memory, last)
    assert told(memory, "target.pod.owner", EXEC) == "Deployment/web"
    assert told(memory, "target.pod.changed_by", EXEC) == "alice"


def test_who_changes_the_template_answers_for_the_pods_that_follow_and_for_no_others() -> None:
    first, *rest = chain()
    patch = request(
        "patch",
        "deployments",
        "web",
        at=0.5,
        by="mallory",
        request={"spec": {"template": {"spec": OPEN}}},
        response=workload("Deployment", "web", OPEN),
    )
    assert told(teach(Memory(), first, patch, *rest), "target.pod.changed_by", EXEC) == "mallory"
    late = request("patch", "deployments", "web", at=3, by="mallory", response=workload("Deployment", "web", OPEN))
    assert told(teach(Memory(), first, *rest, late), "target.pod.changed_by", EXEC) == "alice"


@pytest.mark.parametrize(
    ("bodies", "wanted"),
    [
        ({"response": workload("Deployment", "web", CLOSED)}, "alice"),
        ({"request": {"spec": {"replicas": 3}}}, "alice"),
        ({"request": [{"op": "add", "path": "/metadata/labels/a", "value": "b"}]}, "alice"),
        ({"request": [{"op": "replace", "path": "/spec/template/spec/hostPID", "value": True}]}, "bob"),
        ({"request": {"metadata": {"annotations": {f"a{n}": "x" for n in range(300)}}}}, "bob"),
        ({}, "bob"),
    ],
    ids=["same template", "scaled", "labelled", "patched", "padded", "unseen"],
)
def test_who_leaves_the_template_alone_does_not_answer_for_it(bodies: dict[str, Any], wanted: str) -> None:
    first, *rest = chain()
    patch = request("patch", "deployments", "web", at=0.5, by="bob", **bodies)
    assert told(teach(Memory(), first, patch, *rest), "target.pod.changed_by", EXEC) == wanted


def test_nobody_hides_behind_the_workload_of_another() -> None:
    first, *_ = chain()
    forged = request("create", "pods", "web", at=2, by="mallory", response=pod("web", OPEN, ("Deployment", "web")))
    memory = teach(Memory(), first, forged)
    assert told(memory, "target.pod.changed_by", EXEC) == "mallory"
    assert told(memory, "target.pod.owner", EXEC) is None


def test_a_cron_job_is_followed_to_its_pods() -> None:
    cron, job = CONTROLLER.format("cronjob"), CONTROLLER.format("job")
    memory = teach(
        Memory(),
        request("create", "cronjobs", "backup", response=workload("CronJob", "backup", CLOSED)),
        request("create", "jobs", at=1, by=cron, response=workload("Job", "backup-1", CLOSED, ("CronJob", "backup"))),
        request("create", "pods", at=2, by=job, response=pod("web", CLOSED, ("Job", "backup-1"))),
    )
    assert told(memory, "target.pod.owner", EXEC) == "CronJob/backup"
    assert told(memory, "target.pod.changed_by", EXEC) == "alice"


def test_a_registry_that_a_workload_never_used_is_new() -> None:
    first, *_ = chain()
    memory = teach(Memory(), first)
    change = request("patch", "deployments", "web", at=1, request={"spec": {"template": {"spec": OPEN}}})
    assert told(memory, "workload.new_registry", change) == ["evil.example"]
    seen = request("patch", "deployments", "web", at=2, response=workload("Deployment", "web", OPEN))
    back = request("update", "deployments", "web", at=3, request=workload("Deployment", "web", CLOSED))
    assert told(teach(memory, seen), "workload.new_registry", back) == []
    assert told(Memory(), "workload.new_registry", change) is None
