"""Identities of the control plane in other hands."""

from __future__ import annotations

from typing import Any

import pytest

from detector.fields import value_of
from tests.fields.making import event

REPLICASETS = "system:serviceaccount:kube-system:replicaset-controller"
MANAGER = "kube-controller-manager/v1.36.2 (linux/amd64) kubernetes/a1c5b3e"


@pytest.mark.parametrize(
    ("name", "agent", "misused"),
    [
        (REPLICASETS, MANAGER, False),
        (REPLICASETS, "aws-cloud-controller-manager/v1.30.0", False),
        (REPLICASETS, "k3s/v1.30.0+k3s1", False),
        (REPLICASETS, "kubectl/v1.36.2", True),
        (REPLICASETS, None, True),
        ("system:kube-scheduler", "kube-scheduler/v1.36.2", False),
        ("system:kube-scheduler", "rke2/v1.30.0", False),
        ("system:kube-scheduler", "curl/8.5.0", True),
        ("system:apiserver", "kube-apiserver/v1.36.2", False),
        ("system:apiserver", "Kubectl/v1.36.2", True),
        ("system:addon-manager", "kubectl/v1.36.2", False),
        ("eks:node-manager", None, False),
        ("jane@example.com", "kube-scheduler/v1.36.2", None),
        ("system:serviceaccount:kube-system:coredns", "curl/8.5.0", None),
        ("system:node:worker-1", "curl/8.5.0", None),
        (None, "curl/8.5.0", None),
    ],
)
def test_a_component_is_told_by_its_own_client(name: str | None, agent: str | None, misused: bool | None) -> None:
    user = {} if name is None else {"username": name}
    assert value_of("actor.misused", event(user=user, userAgent=agent)) is misused


def test_a_token_made_for_a_pod_is_no_controllers() -> None:
    user = {"username": REPLICASETS, "extra": {"authentication.kubernetes.io/pod-name": ["debug-x"]}}
    assert value_of("actor.misused", event(user=user, userAgent=MANAGER)) is True


@pytest.mark.parametrize(
    ("body", "misused"),
    [
        ({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": "web-1"}]}}, False),
        ({"metadata": {"ownerReferences": []}}, True),
        ({"metadata": None}, True),
        ({}, True),
        ([], False),
        ("padded", False),
        (None, False),
    ],
)
def test_a_controllers_pod_has_an_owner(body: Any, misused: bool) -> None:
    made = event("create", "pods", username=REPLICASETS, userAgent=MANAGER, request=body)
    assert value_of("actor.misused", made) is misused


def test_only_new_pods_need_an_owner() -> None:
    for verb, key in (("create", "pods/binding"), ("update", "pods"), ("create", "endpointslices")):
        made = event(verb, key, username=REPLICASETS, userAgent=MANAGER, request={})
        assert value_of("actor.misused", made) is False, (verb, key)
