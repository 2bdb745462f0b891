"""Where requests come from and what writes open."""

from __future__ import annotations

from typing import Any

import pytest

from detector.fields import value_of
from tests.fields.making import event


def test_only_the_last_hop_is_the_source() -> None:
    forwarded = event(sourceIPs=["1.2.3.4", "5.6.7.8", "::1", "127.0.0.1"])
    assert value_of("source.ip", forwarded) == "127.0.0.1"
    assert value_of("source.chain", forwarded) == 4
    assert value_of("source.claimed", forwarded) == ["1.2.3.4", "5.6.7.8", "::1"]
    assert value_of("source.public", forwarded) is False


def test_a_direct_client_claims_nothing() -> None:
    direct = event(sourceIPs=["8.8.8.8"])
    assert (value_of("source.ip", direct), value_of("source.chain", direct)) == ("8.8.8.8", 1)
    assert value_of("source.claimed", direct) is None


@pytest.mark.parametrize("addresses", [None, []])
def test_without_addresses_nothing_is_known(addresses: Any) -> None:
    silent = event(sourceIPs=addresses)
    assert {value_of(f"source.{part}", silent) for part in ("ip", "chain", "claimed", "public")} == {None}


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("127.66.1.2", False),
        ("169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("203.0.113.9", False),
        ("evil", None),
        ("", None),
        ("1" * 1_000, None),
        ("8.8.8.8:443", None),
    ],
)
def test_public_addresses(address: str, public: bool | None) -> None:
    assert value_of("source.public", event(sourceIPs=[address])) is public


def hook(client: Any) -> dict[str, Any]:
    rules = [{"operations": ["CREATE"], "resources": ["secrets", "pods/exec"]}, {"resources": ["*"]}]
    return {"name": "pod.inject.io", "clientConfig": client, "rules": rules, "failurePolicy": "Ignore"}


@pytest.mark.parametrize("kind", ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"])
def test_an_admission_webhook(kind: str) -> None:
    created = event("create", kind, request={"webhooks": [hook({"url": "https://evil.example/mutate"})]})
    assert value_of("webhook.targets", created) == [
        {
            "name": "pod.inject.io",
            "url": "https://evil.example/mutate",
            "service": None,
            "external": True,
            "resources": ["secrets", "pods/exec", "*"],
            "operations": ["CREATE"],
            "failurePolicy": "Ignore",
        }
    ]


@pytest.mark.parametrize(
    ("client", "service", "external"),
    [
        ({"service": {"namespace": "kyverno", "name": "kyverno-svc"}}, "kyverno/kyverno-svc", False),
        ({"url": "https://hook.shop.svc:443/x"}, None, False),
        ({"url": "https://hook.shop.svc.cluster.local./x"}, None, False),
        ({"url": "https://hook.shop.svc.evil.example"}, None, True),
        ({"url": "https://127.0.0.1:9/mutate"}, None, True),
        ({"url": "https://[broken"}, None, True),
        ({"caBundle": "x"}, None, None),
        (None, None, None),
    ],
)
def test_where_a_webhook_leads(client: Any, service: str | None, external: bool | None) -> None:
    created = event("create", "mutatingwebhookconfigurations", request={"webhooks": [hook(client)]})
    [target] = value_of("webhook.targets", created)
    assert (target["service"], target["external"]) == (service, external)


def test_a_webhook_that_a_json_patch_points_elsewhere() -> None:
    body = [{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": "https://evil.example"}]
    [target] = value_of("webhook.targets", event("patch", "validatingwebhookconfigurations", request=body))
    assert (target["url"], target["external"]) == ("https://evil.example", True)


def test_a_conversion_webhook_counts() -> None:
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"namespace": "x", "name": "y"}}}}
    body = {"metadata": {"name": "a.evil.io"}, "spec": {"names": {"plural": "as"}, "conversion": conversion}}
    [target] = value_of("webhook.targets", event("create", "customresourcedefinitions", request=body))
    assert (target["name"], target["service"], target["operations"]) == ("a.evil.io", "x/y", ["CONVERT"])
    assert value_of("webhook.targets", event("create", "customresourcedefinitions", request={"spec": {}})) == []


def test_other_requests_have_no_webhooks() -> None:
    assert value_of("webhook.targets", event("create", "configmaps", request={"webhooks": [hook({})]})) is None
    assert value_of("webhook.targets", event("create", "mutatingwebhookconfigurations")) is None


def test_what_a_service_opens() -> None:
    service = event("create", "services", request={"spec": {"type": "LoadBalancer", "externalIPs": ["1.1.1.1", 4]}})
    assert value_of("service.type", service) == "LoadBalancer"
    assert value_of("service.external_ips", service) == ["1.1.1.1"]
    plain = event("patch", "services", request={"spec": {"ports": []}})
    assert value_of("service.type", plain) is None
    assert value_of("service.external_ips", plain) is None
    assert value_of("service.type", event("patch", "services/status", request={"spec": {"type": "NodePort"}})) is None


def test_an_aggregated_api() -> None:
    body = {"spec": {"service": {"namespace": "legacy", "name": "adapter", "port": 443}, "group": "metrics.evil.io"}}
    assert value_of("apiservice.target", event("create", "apiservices", request=body)) == "legacy/adapter"
    assert value_of("apiservice.target", event("create", "apiservices", request={"spec": {"service": None}})) is None


@pytest.mark.parametrize("junk", [None, 3, "x", [], {}, [None], [{"clientConfig": []}], {"service": {"name": []}}])
def test_wrong_shapes_are_passed_over(junk: Any) -> None:
    for kind in ("mutatingwebhookconfigurations", "customresourcedefinitions"):
        body = {"webhooks": junk, "spec": {"conversion": {"webhook": {"clientConfig": junk}}, "names": junk}}
        assert isinstance(value_of("webhook.targets", event("create", kind, request=body)), list)
    assert value_of("apiservice.target", event("create", "apiservices", request={"spec": junk})) is None
    assert value_of("service.type", event("create", "services", request={"spec": junk})) is None


@pytest.mark.parametrize(
    ("spec", "opened"),
    [
        ({"ingress": [{}]}, ["Ingress"]),
        ({"ingress": [{"from": []}], "egress": [{"to": None}]}, ["Ingress", "Egress"]),
        ({"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}, ["Egress"]),
        ({"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}]}, []),
        ({"ingress": [{"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}]}, ["Ingress"]),
        ({"ingress": [{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]}]}, []),
        ({"ingress": [{"ports": [{"port": 53}]}]}, []),
        ({"ingress": [], "egress": "x"}, []),
        ({"ingress": [{"from": 5}], "podSelector": None}, []),
        (None, []),
    ],
)
def test_what_a_network_policy_opens(spec: Any, opened: list[str]) -> None:
    assert value_of("networkpolicy.open", event("update", "networkpolicies", request={"spec": spec})) == opened


def test_a_patch_that_opens_a_network_policy() -> None:
    step = {"op": "add", "path": "/spec/ingress", "value": [{}]}
    assert value_of("networkpolicy.open", event("patch", "networkpolicies", "deny", request=[step])) == ["Ingress"]


def test_without_a_body_nothing_is_known_of_a_network_policy() -> None:
    assert value_of("networkpolicy.open", event("update", "networkpolicies", "deny")) is None
    assert value_of("networkpolicy.open", event("update", "pods", "x", request={"spec": {"ingress": [{}]}})) is None
