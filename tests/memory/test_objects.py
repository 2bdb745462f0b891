"""What memory knows of objects before a request: their age, their makers, levels, targets and certificate requests."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from detector.event import Event
from detector.memory import Memory
from tests.memory.teaching import CLOSED, OPEN, binding, pod, request, role, teach, told, workload


def gone(resource: str, name: str = "x", at: float = 90) -> Event:
    return request("delete", resource, name, at=at)


def facts(memory: Memory, one: Event) -> tuple[Any, ...]:
    return tuple(told(memory, f"object.{name}", one) for name in ("age", "created_by", "risky"))


@pytest.mark.parametrize(
    ("resource", "body", "risky"),
    [
        ("pods", pod("x", OPEN), True),
        ("pods", pod("x", CLOSED), False),
        ("pods", pod("x", {**CLOSED, "volumes": [{"hostPath": {"path": "/"}}]}), True),
        ("pods", None, None),
        ("daemonsets", workload("DaemonSet", "x", OPEN), True),
        ("clusterroles", role("ClusterRole", "x", ("escalate", "*", "clusterroles")), True),
        ("clusterroles", role("ClusterRole", "x", ("get", "", "pods")), False),
        ("clusterrolebindings", binding("ClusterRoleBinding", "x", ("ClusterRole", "cluster-admin")), True),
        ("rolebindings", binding("RoleBinding", "x", ("ClusterRole", "view")), False),
        ("rolebindings", binding("RoleBinding", "x", ("Role", "unheard-of")), None),
    ],
)
def test_a_deletion_is_told_what_is_deleted(resource: str, body: Any, risky: Any) -> None:
    made = request("create", resource, "x", by="mallory", **({"response": body} if body else {}))
    assert facts(teach(Memory(), made), gone(resource)) == (90, "mallory", risky)


def test_nothing_is_said_of_what_was_never_seen() -> None:
    assert facts(Memory(), gone("pods")) == (None, None, None)
    assert facts(teach(Memory(), request("create", "pods", "x")), request("create", "pods", "x", at=5))[0] is None


def test_the_age_of_what_was_there_before_is_the_api_servers_word() -> None:
    body = pod("x", CLOSED, creationTimestamp="2024-10-03T23:59:00Z")
    memory = teach(Memory(), request("patch", "pods", "x", response=body))
    assert facts(memory, gone("pods")) == (150, None, False)


def namespace(verb: str, labels: dict[str, Any] | None = None, at: float = 0, **more: Any) -> Event:
    if labels is not None:
        names = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
        more["response"] = {"kind": "Namespace", "metadata": {"name": "prod", "labels": names}}
    return request(verb, "namespaces", "prod", at=at, **more)


def levels(memory: Memory, one: Event | None = None) -> list[Any]:
    one = one or request("create", "pods", "x", at=9)
    return [told(memory, f"namespace.pod_security.{mode}", one) for mode in ("enforce", "audit", "warn")]


LABEL = "/metadata/labels/pod-security.kubernetes.io~1enforce"
MERGE = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}


def test_a_request_is_told_the_level_of_its_namespace() -> None:
    memory = teach(Memory(), namespace("create", {"enforce": "restricted", "warn": "baseline"}))
    assert levels(memory) == ["restricted", "none", "baseline"]
    assert levels(memory, namespace("patch", {}, at=9)) == ["restricted", "none", "baseline"]
    assert levels(Memory()) == [None, None, None]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"labels": {"enforce": "privileged"}}, ["privileged", "none", "none"]),
        ({"request": MERGE}, ["none", "none", "baseline"]),
        ({"request": [{"op": "replace", "path": LABEL, "value": "baseline"}]}, ["baseline", "none", "baseline"]),
        ({"request": [{"op": "remove", "path": LABEL}]}, ["none", "none", "baseline"]),
        ({"request": [{"op": "replace", "path": "/metadata/labels", "value": {}}]}, [None, None, None]),
        ({"request": {"metadata": {"annotations": {"a": "b"}}}}, ["restricted", "none", "baseline"]),
        ({}, [None, None, None]),
    ],
    ids=["seen", "merged", "replaced", "removed", "all replaced", "annotated", "unseen"],
)
def test_a_changed_namespace_is_known_as_far_as_the_record_tells(change: dict[str, Any], wanted: list[Any]) -> None:
    before = namespace("create", {"enforce": "restricted", "warn": "baseline"})
    assert levels(teach(Memory(), before, namespace("patch", at=1, **change))) == wanted


def hooked(*targets: Any, verb: str = "create", **more: Any) -> Event:
    hooks = [{"name": "h", "clientConfig": one if isinstance(one, dict) else {"url": one}} for one in targets]
    body = {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "m"}, "webhooks": hooks}
    more.setdefault("request", body)
    return request(verb, "mutatingwebhookconfigurations", "m", **more)


def test_a_webhook_that_is_pointed_elsewhere_is_told_from_one_that_renews_itself() -> None:
    service = {"service": {"namespace": "prod", "name": "hook"}, "caBundle": "x"}
    memory = teach(Memory(), hooked(service))
    same = hooked(service, verb="update", at=1)
    assert told(memory, "webhook.target_before", same) == ["prod/hook"]
    assert told(memory, "webhook.new_target", same) == []
    assert told(memory, "webhook.new_target", hooked("https://evil.example", verb="update")) == ["https://evil.example"]
    assert told(Memory(), "webhook.new_target", same) is None
    unseen = teach(memory, request("patch", "mutatingwebhookconfigurations", "m", at=2))
    assert told(unseen, "webhook.target_before", same) is None


@cache
def signed(name: str, group: str) -> str:
    """Give a certificate request; the same whenever it is asked for, though keys and signatures are made by chance."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)]
    )
    csr = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(generate_private_key(SECP256R1()), SHA256())
    )
    return b64encode(csr.public_bytes(Encoding.PEM)).decode()


def asked_for(name: str, group: str = "system:masters") -> dict[str, Any]:
    spec = {"request": signed(name, group), "signerName": CLIENT}
    return {"kind": "CertificateSigningRequest", "metadata": {"name": "c"}, "spec": spec}


CLIENT = "kubernetes.io/kube-apiserver-client"


def csr(user: str = "eve", name: str = "c", at: float = 0, **spec: Any) -> Event:
    body = asked_for(user)
    body["spec"].update(spec)
    return request("create", "certificatesigningrequests", name, at=at, by="mallory", request=body)


def approval(name: str = "c", at: float = 10, **more: Any) -> Event:
    return request("update", "certificatesigningrequests/approval", name, at=at, by="bob", **more)


def test_an_approval_without_a_body_is_told_what_is_approved() -> None:
    memory = teach(Memory(), csr())
    wanted = {"requester": "mallory", "user": "eve", "groups": ["system:masters"], "signer": CLIENT}
    assert {name: told(memory, f"csr.{name}", approval()) for name in wanted} == wanted
    assert told(Memory(), "csr.requester", approval()) is None


def identity(memory: Memory, by: str = "eve") -> list[Any]:
    one = request("list", "secrets", at=30, by=by)
    return [told(memory, f"identity.{name}", one) for name in ("from_csr", "requester", "approved_by", "age")]


def test_the_first_request_of_a_user_that_a_certificate_made_is_told() -> None:
    memory = teach(Memory(), csr(), approval())
    assert identity(memory) == ["c", "mallory", "bob", 20]
    assert identity(memory, "alice") == [None] * 4
    assert identity(teach(memory, request("list", "pods", at=29, by="eve"))) == [None] * 4


@pytest.mark.parametrize("more", [{"code": 403}, {"code": 404}, {"code": None, "stage": "RequestReceived"}])
def test_an_identity_waits_until_a_request_of_it_is_allowed(more: dict[str, Any]) -> None:
    memory = teach(Memory(), csr(), approval())
    assert identity(teach(memory, request("list", "pods", at=29, by="eve", **more))) == ["c", "mallory", "bob", 20]


@pytest.mark.parametrize(
    ("events"),
    [
        (csr(), approval(request={"status": {"conditions": [{"type": "Denied"}]}})),
        (csr(signerName="kubernetes.io/kubelet-serving"), approval()),
        (csr(), approval(code=403)),
        (csr("mallory"), approval()),
        (approval(),),
    ],
    ids=["denied", "serving", "refused", "renewed", "unknown"],
)
def test_no_identity_comes_of_other_requests(events: tuple[Event, ...]) -> None:
    memory = teach(Memory(), *events)
    assert identity(memory) == identity(memory, "mallory") == [None] * 4
