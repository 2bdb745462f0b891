"""What a dump of the cluster tells memory, and how it gets there."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.entries import control_body
from detector.fold import Fold
from detector.memory import Memory
from detector.memory.seed import ROOM, Seed, cut, entries_of
from detector.record import Control, Record
from tests.memory.teaching import CLOSED, OPEN, binding, pod, request, role, teach, told, workload

EXEC = request("get", "pods/exec", "web", at=9)
DEPLOYMENT = workload("Deployment", "site", CLOSED)
REPLICAS = workload("ReplicaSet", "site-1", OPEN, ("Deployment", "site"))
POD = pod("web", {**OPEN, "serviceAccountName": "robot"}, ("ReplicaSet", "site-1"))
ADMIN = binding("ClusterRoleBinding", "b", ("ClusterRole", "boss"), ("ServiceAccount", "prod/robot"))
NAMESPACE = {"kind": "Namespace", "metadata": {"name": "prod", "labels": {}}}
DUMP = [POD, REPLICAS, DEPLOYMENT, ADMIN, role("ClusterRole", "boss", ("*", "*", "*")), NAMESPACE]


def seeded(*dump: dict[str, Any], memory: Memory | None = None) -> Memory:
    memory = memory or Memory()
    assert memory.seed(entries_of(dump)) == 0
    return memory


def test_a_dump_tells_what_events_would() -> None:
    memory = seeded(*DUMP)
    assert told(memory, "target.pod.privileged", EXEC) is True
    assert told(memory, "target.pod.owner", EXEC) == "Deployment/site"
    assert told(memory, "target.pod.service_account_power", EXEC)[0] == "all"
    assert told(memory, "namespace.pod_security.enforce", EXEC) == "none"
    assert told(memory, "target.pod.created_by", EXEC) is None


def test_the_order_of_a_dump_does_not_matter() -> None:
    assert seeded(*DUMP).dump() == seeded(*reversed(DUMP)).dump() != Memory().dump()


def test_what_memory_saw_itself_is_not_forgotten() -> None:
    created = request("create", "pods", "web", by="mallory")
    memory = seeded(POD, memory=teach(Memory(), created))
    assert told(memory, "target.pod.created_by", EXEC) == "mallory"
    assert told(memory, "target.pod.privileged", EXEC) is True


def test_what_a_dump_tells_can_change_afterwards() -> None:
    memory = teach(seeded(*DUMP), request("delete", "clusterrolebindings", "b", response={"kind": "Status"}))
    assert told(memory, "target.pod.service_account_power", EXEC) is None


def test_a_dump_keeps_nothing_but_what_memory_keeps() -> None:
    secretive = {**OPEN, "containers": [{**OPEN["containers"][0], "env": [{"name": "PASSWORD", "value": "hunter2"}]}]}
    dump = [pod("web", secretive, annotations={"a": "hunter2"}), {"kind": "Secret", "metadata": {"name": "hunter2"}}]
    assert b"hunter2" not in msgspec.json.encode(entries_of(dump))


def test_a_seed_in_the_log_is_the_same_as_one_before_it() -> None:
    seed = Seed(entries_of(DUMP), "a", "kim", 7)
    read = msgspec.json.decode(control_body(seed), type=Control)
    fold = Fold()
    fold.fold(Record(0, read))
    assert fold.cluster("a").memory.dump() == seeded(*DUMP).dump()
    assert fold.cluster("b").memory.dump() == Memory().dump()
    restored = Fold.restore(fold.snapshot())
    assert told(restored.cluster("a").memory, "target.pod.service_account_power", EXEC)[0] == "all"


def test_what_does_not_fit_is_counted_and_harms_nothing() -> None:
    entries = entries_of(DUMP)
    entries["pods"].append((("prod", "bad"), {"at": "yesterday"}))
    entries["ghosts"] = [(("x",), {})]
    fold = Fold()
    fold.fold(Record(0, Seed(entries)))
    assert fold.stats().rejected == 2
    assert told(fold.cluster("").memory, "target.pod.privileged", EXEC) is True


def test_a_large_dump_is_cut_into_small_records() -> None:
    entries = entries_of([pod(f"web-{n}", OPEN) for n in range(2_000)])
    parts = list(cut(entries))
    assert max(len(msgspec.json.encode(part)) for part in parts) < ROOM + 1_000
    assert [pair for part in parts for pair in part["pods"]] == entries["pods"]
    assert len(parts) > 2


def test_the_age_of_what_is_made_after_an_event_is_unknown() -> None:
    memory = seeded(pod("web", CLOSED, creationTimestamp="2030-01-01T00:00:00Z"))
    assert told(memory, "object.age", request("delete", "pods", "web")) is None


def test_objects_of_any_shape_are_passed_over() -> None:
    kinds = "Pod", "Deployment", "Role", "RoleBinding", "Namespace", "CertificateSigningRequest", "Odd"
    shapes: list[dict[str, Any]] = [
        {},
        {"metadata": []},
        {"metadata": {"name": 3}},
        {"metadata": {"name": "x"}, "spec": 1},
    ]
    seeded(*[{"kind": kind, **shape} for kind in kinds for shape in shapes])
