"""Who sent a request."""

from __future__ import annotations

from typing import Any

import pytest

from detector.event import Event
from detector.fields import value_of
from tests.fields.making import event

IMPERSONATING = event(
    "list",
    "secrets",
    username="amara@acme.example",
    user={"groups": ["dev", "system:authenticated"]},
    impersonatedUser={"username": "admin", "groups": ["system:masters"]},
)


@pytest.mark.parametrize(
    ("username", "kind"),
    [
        ("jo@acme.example", "human"),
        ("kubernetes-admin", "human"),
        ("system:admin", "human"),
        ("system:made-up", "human"),
        ("system:serviceaccount:shop:api", "serviceaccount"),
        ("system:serviceaccount:shop", "human"),
        ("system:serviceaccount:shop:api:more", "human"),
        ("system:node:ip-10-0-1-7", "node"),
        ("system:bootstrap:07401b", "node"),
        ("system:kube-controller-manager", "controlplane"),
        ("system:kube-scheduler", "controlplane"),
        ("system:apiserver", "controlplane"),
        ("system:kube-proxy", "controlplane"),
        ("eks:node-manager", "controlplane"),
        ("eks:whatever", "human"),
        ("system:anonymous", "anonymous"),
        ("", None),
    ],
)
def test_kind_is_told_by_the_username(username: str, kind: str | None) -> None:
    assert value_of("actor.kind", event(username=username)) == kind


def test_a_member_of_system_masters_is_still_human() -> None:
    assert value_of("actor.kind", event(username="root", user={"groups": ["system:masters"]})) == "human"


@pytest.mark.parametrize("user", [{"user": {}}, {}])
def test_the_empty_user_of_a_401_is_unauthenticated(user: dict[str, Any]) -> None:
    refused = event(code=401, stage="ResponseStarted", **user)
    assert value_of("actor", refused) is None
    assert value_of("actor.kind", refused) == "unauthenticated"
    assert value_of("effective.kind", refused) == "unauthenticated"


def test_no_user_and_no_401_is_unknown() -> None:
    assert value_of("actor.kind", event(code=200)) is None


def test_the_parts_of_a_service_account() -> None:
    pod = event(username="system:serviceaccount:shop:api")
    assert (value_of("actor.namespace", pod), value_of("actor.name", pod)) == ("shop", "api")


@pytest.mark.parametrize(
    ("username", "name"), [("system:node:worker-1", "worker-1"), ("jo", None), ("system:node:", None)]
)
def test_a_node_has_a_name_and_no_namespace(username: str, name: str | None) -> None:
    node = event(username=username)
    assert value_of("actor.name", node) == name
    assert value_of("actor.namespace", node) is None


@pytest.mark.parametrize(
    ("username", "builtin"),
    [
        ("system:kube-scheduler", True),
        ("system:serviceaccount:kube-system:replicaset-controller", True),
        ("system:serviceaccount:kube-system:service-ca-cert-publisher", True),
        ("system:serviceaccount:kube-system:replicaset-controller2", False),
        ("system:serviceaccount:shop:replicaset-controller", False),
        ("jo", False),
        (None, None),
    ],
)
def test_builtin_is_the_control_plane_and_its_own_controllers(username: str | None, builtin: bool | None) -> None:
    assert value_of("actor.builtin", event(username=username)) is builtin


def test_an_impersonator_stays_the_actor() -> None:
    assert value_of("actor", IMPERSONATING) == "amara@acme.example"
    assert value_of("actor.groups", IMPERSONATING) == ["dev", "system:authenticated"]
    assert value_of("effective.user", IMPERSONATING) == "admin"
    assert value_of("effective.groups", IMPERSONATING) == ["system:masters"]
    assert value_of("impersonation", IMPERSONATING) == "full"


def test_effective_kind_is_of_the_impersonated_user() -> None:
    robot = event(username="jo", impersonatedUser={"username": "system:serviceaccount:kube-system:x"})
    assert (value_of("actor.kind", robot), value_of("effective.kind", robot)) == ("human", "serviceaccount")


def test_without_impersonation_the_actor_is_effective() -> None:
    plain = event(username="jo", user={"groups": ["dev"]})
    assert value_of("impersonation", plain) is None
    assert (value_of("effective.user", plain), value_of("effective.groups", plain)) == ("jo", ["dev"])


def test_constrained_impersonation_names_its_constraint() -> None:
    constrained = event(
        username="noa",
        impersonatedUser={"username": "lia"},
        authenticationMetadata={"impersonationConstraint": "impersonate:user-info"},
    )
    assert value_of("impersonation", constrained) == "impersonate:user-info"


def refused(message: str | None, code: int = 403) -> Event:
    return event("list", "secrets", username="noa", code=code, responseStatus={"message": message})


@pytest.mark.parametrize(
    "message",
    [
        'secrets is forbidden: User "noa" cannot impersonate-on:user-info:list resource "secrets" in API group ""',
        'users "admin" is forbidden: User "noa" cannot impersonate resource "users" in API group ""',
        'users "lia" is forbidden: User "a \\"b\\" c" cannot impersonate:user-info resource "users"',
    ],
)
def test_a_denied_impersonation_is_told_by_the_message_alone(message: str) -> None:
    assert value_of("impersonation.denied", refused(message)) is True
    assert value_of("impersonation", refused(message)) is None


def test_other_refusals_are_no_impersonation() -> None:
    assert value_of("impersonation.denied", refused('secrets is forbidden: User "noa" cannot list resource')) is False
    faked = 'secrets "\\" cannot impersonate x" is forbidden: User "noa" cannot get resource "secrets"'
    assert value_of("impersonation.denied", refused(faked)) is False
    assert value_of("impersonation.denied", refused("ok", code=200)) is False


def test_a_refusal_without_a_message_is_unknown() -> None:
    assert value_of("impersonation.denied", refused(None)) is None
    assert value_of("impersonation.denied", event(username="noa")) is None


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        ("kubectl/v1.36.2 (linux/amd64) kubernetes/a1c5b3e", "kubectl"),
        ("kubectl.exe/v1.30.0 (windows/amd64) kubernetes/x", "kubectl"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.32.3", "python"),
        ("Python/3.11 aiohttp/3.9.1", "python"),
        ("OpenAPI-Generator/29.0.0/python", "python"),
        ("Swagger-Codegen/v0.0.1/java", "java"),
        ("Go-http-client/2.0", "go-http-client"),
        ("gitlab-runner 18.2.1 linux/amd64", "gitlab-runner"),
        ("Helm/3.14.0", "helm"),
        ("Mozilla/5.0 (Macintosh) FreeLens/1.6.1", "mozilla"),
        ('"quoted" {}', '"quoted"'),
        ("/ /", None),
        ("", None),
        (None, None),
    ],
)
def test_agent_family_is_the_first_product(agent: str | None, family: str | None) -> None:
    assert value_of("agent.family", event(userAgent=agent)) == family


def test_a_huge_user_agent_is_cut() -> None:
    assert len(value_of("agent.family", event(userAgent="x" * 1_000_000))) == 128
