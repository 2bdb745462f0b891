"""What memory knows of roles and bindings, and the words for powers."""

from __future__ import annotations

from typing import Any

import pytest

from detector.memory import Memory
from detector.memory.bindings import SUBJECTS
from detector.memory.powers import EVERYTHING, WORDS, powers_of, set_of, words
from tests.memory.teaching import CLOSED, binding, pod, request, role, teach, told

RBAC = "rbac.authorization.k8s.io"
SECRETS = ("get,list", "", "secrets")
PROXY = ("get", "", "nodes/proxy")
BIND = request("create", "rolebindings", "b", request=binding("RoleBinding", "b", ("Role", "reader"), ("User", "eve")))


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (("*", "*", "*"), list(WORDS)),
        (("get", "", "secrets"), ["secrets"]),
        (("get", "*", "*"), ["secrets", "exec", "nodes-proxy"]),
        (("create", "", "pods/exec"), ["exec", "write"]),
        (("get", "", "pods/*"), ["exec"]),
        (("get", "", "*/proxy"), ["nodes-proxy"]),
        (("patch", "", "pods/ephemeralcontainers"), ["exec", "write"]),
        (("escalate", RBAC, "clusterroles"), ["escalate"]),
        (("bind", RBAC, "*"), ["bind"]),
        (("impersonate", "", "users,groups"), ["impersonate"]),
        (("impersonate:user-info", "authentication.k8s.io", "users"), ["impersonate"]),
        (("impersonate", "authentication.k8s.io", "userextras/scopes"), ["impersonate"]),
        (("create", "", "serviceaccounts/token"), ["tokens", "write"]),
        (("create", "apps", "deployments"), ["workloads", "write"]),
        (("update", RBAC, "rolebindings"), ["rbac", "write"]),
        (("patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"), ["webhooks", "write"]),
        (("approve", "certificates.k8s.io", "signers"), ["csr"]),
        (("create", "", "persistentvolumes"), ["volumes", "write"]),
        (("delete", "", "configmaps"), ["write"]),
        (("create", "authorization.k8s.io", "selfsubjectaccessreviews"), []),
        (("get,list,watch", "", "pods,configmaps"), []),
        (("list", "apps", "secrets"), []),
    ],
)
def test_rules_are_read_as_powers(rule: tuple[str, str, str], wanted: list[str]) -> None:
    assert words(powers_of(role("Role", "r", rule)["rules"])) == wanted


def test_a_secret_by_name_is_not_the_power_to_read_secrets() -> None:
    rules = role("Role", "r", SECRETS)["rules"]
    assert words(powers_of([{**rules[0], "resourceNames": ["mine"]}])) == []


def test_sets_of_words_can_be_written_out_again() -> None:
    assert words(set_of(["exec", "all"])) == ["all", "exec"]
    assert words(EVERYTHING) == list(WORDS)


STATUS = {"kind": "Status", "status": "Success"}


def ending(body: dict[str, Any], *finalizers: str) -> dict[str, Any]:
    """Give an object that was deleted, and is there as long as it has finalizers."""
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": list(finalizers)}
    return {**body, "metadata": {**body["metadata"], **metadata}}


def role_power(*events: Any, of: Any = BIND) -> Any:
    return told(teach(Memory(), *events), "role.power", of)


def made(*rules: tuple[str, str, str], verb: str = "create", **more: Any) -> Any:
    return request(verb, "roles", "reader", response=role("Role", "reader", *rules), **more)


def test_a_binding_is_told_of_the_powers_it_gives() -> None:
    assert role_power(made(SECRETS)) == ["secrets"]
    assert role_power(made()) == []
    assert role_power() is None


@pytest.mark.parametrize(("name", "word"), [("cluster-admin", "all"), ("admin", "rbac"), ("edit", "exec")])
def test_the_roles_of_kubernetes_are_known(name: str, word: str) -> None:
    asked = request("create", "rolebindings", "b", request=binding("RoleBinding", "b", ("ClusterRole", name)))
    assert word in role_power(of=asked)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"response": role("Role", "reader", ("*", "*", "*"))}, list(WORDS)),
        ({"request": {"rules": role("Role", "reader", ("create", "", "pods/exec"))["rules"]}}, ["exec", "write"]),
        ({"request": {"metadata": {"labels": {"a": "b"}}}}, ["secrets"]),
        (
            {"request": [{"op": "add", "path": "/rules/-", "value": role("Role", "r", PROXY)["rules"][0]}]},
            ["secrets", "nodes-proxy"],
        ),
        ({}, None),
    ],
    ids=["seen", "merged", "labelled", "added to", "unseen"],
)
def test_a_changed_role_is_known_as_far_as_the_record_tells(change: dict[str, Any], wanted: Any) -> None:
    assert role_power(made(SECRETS), request("patch", "roles", "reader", at=1, **change)) == wanted


def test_a_deleted_role_gives_nothing() -> None:
    assert role_power(made(SECRETS), request("delete", "roles", "reader", at=1, response=STATUS)) is None


@pytest.mark.parametrize("answer", [{}, {"response": ending(role("Role", "reader", SECRETS), "example.com/hold")}])
def test_a_role_gives_what_it_gave_until_it_is_known_to_be_gone(answer: dict[str, Any]) -> None:
    events = made(SECRETS), request("delete", "roles", "reader", at=1, **answer)
    assert role_power(*events) == ["secrets"]
    let_go = request("patch", "roles", "reader", at=2, response=ending(role("Role", "reader", SECRETS)))
    assert role_power(*events, let_go) is None


def test_a_change_of_a_role_is_told_of_the_powers_before() -> None:
    assert role_power(made(SECRETS), of=made(("*", "*", "*"), verb="update", at=1)) == ["secrets"]


def bound(kind: str, gives: str, *subjects: tuple[str, str], **more: Any) -> Any:
    resource = kind.lower() + "s"
    body = binding(kind, "b", ("Role" if gives == "reader" else "ClusterRole", gives), *subjects)
    return request(more.pop("verb", "create"), resource, "b", response=body, **more)


def actor_power(*events: Any, by: str = "eve", where: str = "prod", groups: tuple[str, ...] = ()) -> Any:
    asked = request("list", "pods", by=by, ref={"namespace": where}, user={"groups": list(groups)}, at=9)
    return told(teach(Memory(), *events), "actor.power", asked)


def test_powers_come_by_name_and_by_group() -> None:
    assert actor_power(bound("ClusterRoleBinding", "cluster-admin", ("User", "eve"))) == list(WORDS)
    assert actor_power(bound("ClusterRoleBinding", "cluster-admin", ("Group", "g")), groups=("g",)) == list(WORDS)
    assert actor_power(bound("ClusterRoleBinding", "cluster-admin", ("User", "eve")), by="group:g") is None
    assert actor_power(groups=("system:masters",)) == list(WORDS)
    assert actor_power(bound("ClusterRoleBinding", "view", ("User", "eve"))) is None


@pytest.mark.parametrize("more", [("User", "eve"), ("ServiceAccount", "ci/eve"), ("Group", "system:authenticated")])
def test_many_groups_in_front_hide_nobody(more: tuple[str, str]) -> None:
    names = ("eve", "system:serviceaccount:ci:eve")
    crowd = [("Group", f"g{number}") for number in range(SUBJECTS)]
    memory = teach(Memory(), bound("ClusterRoleBinding", "cluster-admin", *crowd, more))
    asked = [request("list", "pods", by=by, user={"groups": ["system:authenticated"]}, at=9) for by in names]
    assert list(WORDS) in [told(memory, "actor.power", one) for one in asked]
    known = memory.bindings.get(None, "b")
    assert known is not None
    assert len(known.subjects) == SUBJECTS


def test_powers_in_one_namespace_are_told_apart() -> None:
    events = made(SECRETS), bound("RoleBinding", "reader", ("User", "eve"))
    assert actor_power(*events) == ["namespace:secrets"]
    assert actor_power(*events, where="other") is None


def test_a_role_that_grows_gives_its_holders_more() -> None:
    events = made(SECRETS), bound("RoleBinding", "reader", ("User", "eve"))
    memory = teach(Memory(), *events)
    asked = [request("list", "pods", by="eve", at=at) for at in (5, 6)]
    assert told(memory, "actor.power", asked[0]) == ["namespace:secrets"]
    teach(memory, made(SECRETS, PROXY, verb="update", at=5.5))
    assert told(memory, "actor.power", asked[1]) == ["namespace:secrets", "namespace:nodes-proxy"]


@pytest.mark.parametrize(
    ("change", "eve", "bob"),
    [
        ({"response": binding("ClusterRoleBinding", "b", ("ClusterRole", "edit"), ("User", "bob"))}, False, True),
        ({"request": {"subjects": [{"kind": "User", "name": "bob"}]}}, False, True),
        ({"request": [{"op": "add", "path": "/subjects/-", "value": {"kind": "User", "name": "bob"}}]}, True, True),
        ({"request": {"metadata": {"labels": {"a": "b"}}}}, True, False),
        ({}, False, False),
    ],
    ids=["seen", "merged", "added to", "labelled", "unseen"],
)
def test_a_changed_binding_is_known_as_far_as_the_record_tells(change: dict[str, Any], eve: bool, bob: bool) -> None:
    events = (
        bound("ClusterRoleBinding", "edit", ("User", "eve")),
        request("patch", "clusterrolebindings", "b", at=1, **change),
    )
    assert [actor_power(*events, by=name) is not None for name in ("eve", "bob")] == [eve, bob]


def test_a_deleted_binding_takes_its_powers_away() -> None:
    gone = request("delete", "clusterrolebindings", "b", at=1, response=STATUS)
    assert actor_power(bound("ClusterRoleBinding", "edit", ("User", "eve")), gone) is None


EVES = binding("ClusterRoleBinding", "b", ("ClusterRole", "cluster-admin"), ("User", "eve"))


@pytest.mark.parametrize("answer", [{}, {"response": ending(EVES, "example.com/hold")}])
def test_a_binding_is_honoured_until_it_is_known_to_be_gone(answer: dict[str, Any]) -> None:
    events = (
        request("create", "clusterrolebindings", "b", response=EVES),
        request("delete", "clusterrolebindings", "b", at=1, **answer),
    )
    assert actor_power(*events) == list(WORDS)
    let_go = request("patch", "clusterrolebindings", "b", at=2, response=ending(EVES))
    assert actor_power(*events, let_go) is None


def test_no_request_passes_for_a_deletion() -> None:
    update = request("update", "clusterrolebindings", "b", at=1, request=ending(EVES))
    assert actor_power(request("create", "clusterrolebindings", "b", response=EVES), update) == list(WORDS)


def test_a_service_account_is_known_by_what_runs_as_it() -> None:
    memory = teach(
        Memory(),
        bound("ClusterRoleBinding", "cluster-admin", ("ServiceAccount", "prod/robot")),
        request("create", "pods", "web", response=pod("web", {**CLOSED, "serviceAccountName": "robot"})),
    )
    token = request("create", "serviceaccounts/token", "robot", at=2)
    new = request("create", "pods", "w2", at=3, request=pod("w2", {**CLOSED, "serviceAccountName": "robot"}))
    assert told(memory, "target.serviceaccount.power", token) == list(WORDS)
    assert told(memory, "target.serviceaccount.power", new) == list(WORDS)
    assert told(memory, "target.pod.service_account_power", request("get", "pods/exec", "web")) == list(WORDS)
    uri = "/api/v1/nodes/n1/proxy/run/prod/web/c?cmd=id"
    kubelet = request("create", "nodes/proxy", "n1", requestURI=uri)
    assert told(memory, "target.pod.service_account_power", kubelet) == list(WORDS)
    assert told(memory, "target.serviceaccount.power", request("create", "serviceaccounts/token", "other")) is None


def test_those_who_get_a_role_are_told_with_what_they_have() -> None:
    memory = teach(Memory(), bound("ClusterRoleBinding", "edit", ("Group", "devs")))
    asked = bound("RoleBinding", "reader", ("Group", "devs"), ("User", "bob"), at=1)
    assert "secrets" in told(memory, "subject.power", asked)
    assert told(memory, "subject.power", bound("RoleBinding", "reader", ("User", "bob"), at=1)) is None


def aggregated(labels: dict[str, str], *events: Any) -> Any:
    body = {**role("ClusterRole", "plugin"), "metadata": {"name": "plugin", "labels": labels}}
    return told(
        teach(Memory(), *events), "role.aggregated_into", request("create", "clusterroles", "plugin", request=body)
    )


def test_labels_tell_which_roles_grow() -> None:
    label = RBAC + "/aggregate-to-"
    assert aggregated({label + "view": "true"}) == ["view", "edit", "admin"]
    assert aggregated({label + "admin": "true", "x": "y"}) == ["admin"]
    assert aggregated({label + "edit": "false"}) == []
    assert aggregated({}) is None
    rule = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}}
    own = request("create", "clusterroles", "sum", response=role("ClusterRole", "sum", **rule))
    assert aggregated({"x": "y"}, own) == ["sum"]
    assert aggregated({"x": "z"}, own) == []
