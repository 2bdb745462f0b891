"""Features: what of an event the model looks at; hostile and half-empty events included."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.anomaly.content import CONTENTS, asked_of, repository_of
from detector.anomaly.features import LONGEST, MOST, Features, agent_of, features, network_of, stem
from detector.anomaly.surprise import CategoricalSurprise, complete
from detector.event import Event
from detector.formats import decode_event

RBAC = "rbac.authorization.k8s.io"


def of(verb: str, resource: str, body: Any = None, **more: Any) -> Features:
    group, sub = more.pop("group", None), more.pop("sub", None)
    ref = {"resource": resource, "namespace": "shop", "name": "web", "apiGroup": group, "subresource": sub}
    kind = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "stage": "ResponseComplete"}
    record = {
        **kind,
        "verb": verb,
        "user": {"username": "ann", "groups": ["crew"]},
        "objectRef": ref,
        "requestURI": "/x",
    }
    return features(decode_event(json.dumps({**record, "requestObject": body, **more}).encode()), 0)


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": [{"image": "evil.example/a/miner:1@sha256:0"}], **spec}}


def test_an_empty_event_has_all_features_there_are() -> None:
    x = features(Event(), 7)
    assert complete(x) is x
    assert CategoricalSurprise().score_one(x) >= 0


@pytest.mark.parametrize(
    ("x", "feature", "values"),
    [
        (of("create", "pods", pod()), "image", ("evil.example/a/miner",)),
        (of("create", "pods", pod()), "registry", ("evil.example/a",)),
        (of("create", "pods", pod(hostPID=True)), "isolation", ("hostPID",)),
        (of("create", "pods", pod(serviceAccountName="root")), "service account", ("root",)),
        (of("create", "pods", pod(volumes=[{"hostPath": {"path": "/etc"}}])), "host path", ("/etc",)),
        (of("create", "services", {"spec": {"type": "NodePort"}}), "exposure", ("NodePort",)),
        (of("patch", "deployments", {"spec": {"replicas": 0}}, group="apps"), "setting", ("replicas 0",)),
        (of("patch", "deployments", {"spec": {"replicas": 0}}, group="apps"), "patched", ("spec.replicas",)),
        (
            of(
                "create",
                "clusterrolebindings",
                {
                    "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
                    "subjects": [{"kind": "User", "name": "eve"}],
                },
                group=RBAC,
            ),
            "power",
            ("ClusterRole cluster-admin",),
        ),
        (
            of("create", "clusterroles", {"rules": [{"verbs": ["*"], "resources": ["*"]}]}, group=RBAC),
            "power",
            ("* * ",),
        ),
        (
            of("get", "pods", sub="exec", requestURI="/api/v1/namespaces/a/pods/b/exec?command=cat&command=/x"),
            "command",
            ("cat /x",),
        ),
    ],
)
def test_content_is_told(x: Features, feature: str, values: tuple[str, ...]) -> None:
    assert x[feature] == values


def test_reading_carries_no_content() -> None:
    assert not CONTENTS.keys() & of("list", "pods").keys()
    assert asked_of("patch", "pods", "status", None) == ()


def test_what_was_refused_is_another_action() -> None:
    x = of("list", "secrets", responseStatus={"code": 403})
    assert (x["action"], x["refused"]) == ("list secrets (refused)", True)


def test_a_failed_request_says_how() -> None:
    assert of("get", "secrets", responseStatus={"code": 404})["outcome"] == "404"


def test_the_address_is_the_peers_and_what_is_claimed_stands_apart() -> None:
    x = of("get", "pods", sourceIPs=["203.0.113.9", "10.1.2.3"])
    assert (x["address"], x["network"], x["claimed"]) == ("10.1.2.3", "10.1", "203.0")


def test_generated_names_go_by_their_stem() -> None:
    names = ("web-5d4f8c7b9-x2x9z", "web", "backup-29384756", "db-0")
    assert [stem(name) for name in names] == ["web", "web", "backup", "db"]


def test_an_upgrade_is_no_new_client() -> None:
    old, new = ("kubectl/v1.30.0 (linux/amd64) kubernetes/7c48c2b", "kubectl/v1.36.2 (linux/amd64) kubernetes/a1c5b3e")
    assert agent_of(old) == agent_of(new)


def test_images_go_without_tag_and_digest() -> None:
    assert repository_of("reg:5000/a/b:1@sha256:00") == "reg:5000/a/b"


def test_networks_of_both_kinds_of_addresses() -> None:
    assert (network_of("10.1.2.3"), network_of("2001:db8:1::1")) == ("10.1", "2001:db8:1")


keys = st.sampled_from(["spec", "metadata", "containers", "image", "rules", "verbs", "subjects", "labels", "replicas"])
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
verbs = st.sampled_from(["create", "patch", "update"])


@given(json_like, verbs, st.sampled_from(["pods", "roles", "nodes", "secrets"]))
def test_no_body_breaks_them(body: Any, verb: str, resource: str) -> None:
    x = of(verb, resource, body)
    assert all(len(values) <= MOST for name, values in x.items() if name in CONTENTS)
    CategoricalSurprise().take(x)


def test_huge_texts_are_cut() -> None:
    x = of("create", "p" * 10_000, userAgent="u" * 10_000, sourceIPs=["9" * 10_000])
    assert max(len(value) for value in x.values() if isinstance(value, str)) <= LONGEST + len(" (refused)")
