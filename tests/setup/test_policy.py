"""The audit policy is one an API server takes, feeds every rule, keeps secrets out, and drops only noise."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from detector.finding import Level
from detector.memory import Memory
from detector.pipeline import Detector, replay
from detector.report.catalogue import Catalogue
from detector.setup.files import AUDIT_POLICY, shipped
from detector.sigma import selftest
from detector.sources import FileSource
from tests.setup.auditing import Policy

SAMPLE = Path(__file__).resolve().parents[2] / "sample_logs" / "attack.jsonl.gz"
NODE = {"username": "system:node:worker-1", "groups": ["system:nodes", "system:authenticated"]}
OPERATOR = {"username": "system:serviceaccount:ops:operator", "groups": ["system:serviceaccounts"]}
SCHEDULER = {"username": "system:kube-scheduler", "groups": ["system:authenticated"]}
JANE = {"username": "jane@example.com", "groups": ["system:authenticated"]}
VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(shipped(AUDIT_POLICY))


def request(user: dict[str, Any], verb: str, resource: str, group: str = "", **more: Any) -> dict[str, Any]:
    """Give an event that was recorded in full."""
    name, _, subresource = resource.partition("/")
    reference = {"apiGroup": group, "resource": name, "subresource": subresource, "namespace": "shop", "name": "x"}
    bodies: dict[str, Any] = {"requestObject": {"spec": {}}, "responseObject": {"spec": {}}}
    return {"user": user, "verb": verb, "requestURI": "/", "stage": "ResponseComplete", "objectRef": reference} | (
        bodies | more
    )


def failures(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> list[str]:
    """Run the tests inside the rules on what a policy records of their events; give those that fail."""
    filled_in, nothing = selftest.filled_in, {"verb": "get", "requestURI": "/healthz", "annotations": None}

    def as_recorded(event: dict[str, Any], number: int, moment: str) -> dict[str, Any]:
        full = filled_in(event, number, moment)
        return policy.recorded(full) or filled_in(nothing, number, moment)

    monkeypatch.setattr(selftest, "filled_in", as_recorded)
    return [f"{one.rule}: {one.test}" for one in selftest.run(Catalogue().loaded, Memory) if not one.passed]


SECRET = {
    "Credential written into a ConfigMap": 4,
    "Token that never expires made with a Secret": 3,
    "Secret of kube-system changed by hand": 1,
}
"""Rules that want the bodies that hold the passwords: so many of their tests fail, whoever wants them records more."""
OTHERS = {
    "Decoy account used": 1,  # a health check
    "Request recorded in less detail than before": 1,  # these two are about the policy itself
    "Audit log tells less than before": 1,
    "Session in a pod that reaches into its node": 1,  # a pod's deletion has no body: it is known a little longer
}


def test_every_rule_gets_the_events_and_bodies_it_asks_about(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    assert Counter(name.partition(":")[0] for name in failures(monkeypatch, policy)) == SECRET | OTHERS


def test_rules_that_get_no_bodies_are_noticed(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    poor = tuple(rule for rule in policy.rules if rule.level in ("None", "Metadata"))
    silent = failures(monkeypatch, msgspec.structs.replace(policy, rules=poor))
    assert any(name.startswith("Privileged container:") for name in silent)
    assert any(name.startswith("Cluster administration granted:") for name in silent)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("user", [NODE, OPERATOR, SCHEDULER, JANE], ids=["node", "operator", "scheduler", "jane"])
def test_no_body_with_a_password_or_token_is_recorded(policy: Policy, user: dict[str, Any], verb: str) -> None:
    for resource, group in (("secrets", ""), ("configmaps", ""), ("tokenreviews", "authentication.k8s.io")):
        assert policy.level(request(user, verb, resource, group)) == "Metadata"
    # The request for a token holds none, the answer does.
    assert policy.level(request(user, verb, "serviceaccounts/token")) in ("Metadata", "Request")


@pytest.mark.parametrize("resource", ["leases", "events"])
@pytest.mark.parametrize("user", [NODE, OPERATOR, SCHEDULER], ids=["node", "operator", "scheduler"])
def test_noise_of_components_is_dropped_but_not_its_deletion(
    policy: Policy, user: dict[str, Any], resource: str
) -> None:
    group = {"leases": "coordination.k8s.io", "events": ""}[resource]
    for verb in ("get", "update", "patch", "create", "watch"):
        assert policy.level(request(user, verb, resource, group)) == "None"
        assert policy.level(request(JANE, verb, resource, group)) == "Metadata"
    assert policy.level(request(user, "delete", resource, group)) == "Metadata"


def test_of_other_addresses_only_health_checks_are_dropped(policy: Policy) -> None:
    levels = {
        path: policy.level({"user": JANE, "verb": "get", "requestURI": path, "stage": "ResponseComplete"})
        for path in ("/healthz", "/livez/ping?verbose", "/readyz", "/version", "/", "/apis", "/metrics", "/logs/")
    }
    assert [path for path, level in levels.items() if level == "None"] == [
        "/healthz",
        "/livez/ping?verbose",
        "/readyz",
        "/version",
    ]


@pytest.mark.parametrize("resource", ["pods/exec", "pods/attach", "pods/portforward", "nodes/proxy", "secrets"])
def test_what_goes_on_for_long_is_recorded_when_it_begins(policy: Policy, resource: str) -> None:
    verb = "watch" if resource == "secrets" else "get"
    assert policy.recorded(request(JANE, verb, resource, stage="ResponseStarted")) is not None


def test_a_request_is_not_recorded_twice_without_need(policy: Policy) -> None:
    assert policy.recorded(request(JANE, "create", "pods", stage="RequestReceived")) is None
    assert policy.recorded(request(JANE, "watch", "pods", stage="ResponseStarted")) is None


def test_the_sample_attack_gives_the_same_alerts_with_less_to_read(policy: Policy, tmp_path: Path) -> None:
    full = gzip.decompress(SAMPLE.read_bytes()).splitlines()
    kept = [orjson.dumps(event) for line in full if (event := policy.recorded(orjson.loads(line))) is not None]
    (tmp_path / "kept.jsonl").write_bytes(b"\n".join(kept))
    (tmp_path / "full.jsonl").write_bytes(b"\n".join(full))
    assert len(kept) < 0.8 * len(full)
    assert alerts(tmp_path / "kept.jsonl") == alerts(tmp_path / "full.jsonl") != []


def alerts(path: Path) -> list[tuple[str, str, str, int]]:
    """Give what a log of events leads to at level medium and above."""
    closed = [alert for _, told in replay(Detector.load(), FileSource([str(path)])) for alert in told]
    return sorted(
        (alert.title, alert.actor, alert.level.name, alert.count)
        for alert in closed
        if alert.status == "closed" and alert.level >= Level.medium and alert.kind == "alert"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": [{"level": "All"}]},
        {"rules": [{"users": ["jane"]}]},
        {"rules": [{"level": "None", "verb": ["get"]}]},
        {"rules": [{"level": "None", "nonResourceURLs": ["/a*b"]}]},
        {"rules": [{"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]}]},
        {"rules": [{"level": "None", "resources": [{"group": "apps/v1"}]}]},
        {"rules": [{"level": "None", "resources": [{"group": "", "resourceNames": ["x"]}]}]},
        {"rules": [], "omitStages": ["Started"]},
    ],
)
def test_a_policy_that_an_api_server_refuses_is_refused(wrong: dict[str, Any]) -> None:
    head = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    with pytest.raises(msgspec.ValidationError):
        Policy.load(orjson.dumps(head | wrong).decode())
