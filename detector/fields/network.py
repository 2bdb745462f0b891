"""Where a request came from, and what writes open to or send outside: services, webhooks, aggregated APIs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from detector.event import Event
from detector.fields.body import dig, elements, mapping, text, texts
from detector.fields.registry import derived
from detector.fields.request import stated

_WEBHOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
_MAX_ADDRESS = 64
_IN_CLUSTER = (".svc", ".svc.cluster.local")


@derived("source.ip", "text")
def source_ip(event: Event) -> str | None:
    """The address of the peer that connected to the API server: the last of sourceIPs.

    It is the only one the client cannot choose: those before it are copied from X-Forwarded-For and X-Real-Ip. Behind a
    load balancer that opens its own connections it is the load balancer's. Null when the record lists none.
    """
    return event.sourceIPs[-1] if event.sourceIPs else None


@derived("source.chain", "number")
def source_chain(event: Event) -> int | None:
    """How many addresses sourceIPs lists: 1 for a direct client without forwarding headers; null when none."""
    return len(event.sourceIPs) if event.sourceIPs else None


@derived("source.claimed", "list of text")
def source_claimed(event: Event) -> list[str] | None:
    """The addresses before the last of sourceIPs, which the client or a proxy claims; null when there are none."""
    return event.sourceIPs[:-1] or None if event.sourceIPs else None


@lru_cache(maxsize=4096)
def is_public(address: str) -> bool | None:
    """Say whether an address is globally routable; None when it is not an address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_global


@derived("source.public", "boolean")
def source_public(event: Event) -> bool | None:
    """Whether source.ip is an address of the public internet (globally routable, as IANA's registries say).

    Null when there is no address or it cannot be read.
    """
    address: str | None = source_ip(event)
    return is_public(address) if address and len(address) <= _MAX_ADDRESS else None


def _stated_in(event: Event, *resources: str) -> dict[str, Any] | None:
    ref = event.objectRef
    if ref is None or ref.resource not in resources or ref.subresource:
        return None
    body: dict[str, Any] | None = stated(event)
    return body


def _service(reference: Any) -> str | None:
    name, namespace = text(dig(reference, "name")), text(dig(reference, "namespace"))
    return f"{namespace or ''}/{name}" if name else None


def _is_external(client: dict[str, Any]) -> bool | None:
    url = text(client.get("url"))
    if url is None:
        return False if client.get("service") else None
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return True
    return not host.rstrip(".").endswith(_IN_CLUSTER)


def _webhook(name: Any, client: dict[str, Any], rules: list[dict[str, Any]], policy: Any) -> dict[str, Any]:
    return {
        "name": text(name),
        "url": text(client.get("url")),
        "service": _service(client.get("service")),
        "external": _is_external(client),
        "resources": [resource for rule in rules for resource in texts(rule.get("resources"))],
        "operations": [operation for rule in rules for operation in texts(rule.get("operations"))],
        "failurePolicy": text(policy),
    }


def admission_webhooks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for hook in elements(body.get("webhooks")):
        client = mapping(hook.get("clientConfig"))
        yield _webhook(hook.get("name"), client, elements(hook.get("rules")), hook.get("failurePolicy"))


def conversion_webhooks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    client = mapping(dig(body, "spec", "conversion", "webhook", "clientConfig"))
    if client:
        rule = {"resources": [dig(body, "spec", "names", "plural")], "operations": ["CONVERT"]}
        yield _webhook(dig(body, "metadata", "name"), client, [rule], None)


def target_of(webhook: dict[str, Any]) -> str | None:
    """Give what one of `webhook_targets` calls: a URL, or a service as NAMESPACE/NAME."""
    target: str | None = webhook["url"] or webhook["service"]
    return target


@derived("webhook.targets", "list of objects")
def webhook_targets(event: Event) -> list[dict[str, Any]] | None:
    """The webhooks that a write makes the API server call, by admission configurations or a CRD's conversion.

    Each has name, url, service (NAMESPACE/NAME), external (true for a url that is no in-cluster service name, null when
    the request says neither), resources, operations (CONVERT for a conversion) and failurePolicy. Null when there is no
    body and for other requests.
    """
    body = _stated_in(event, *_WEBHOOKS)
    if body is not None:
        return list(admission_webhooks(body))
    body = _stated_in(event, "customresourcedefinitions")
    return None if body is None else list(conversion_webhooks(body))


_EVERYWHERE = ("0.0.0.0/0", "::/0")


def _is_anybody(peer: dict[str, Any]) -> bool:
    """Say whether a peer of a NetworkPolicy stands for every pod, or for every address."""
    block = mapping(peer.get("ipBlock"))
    if block:
        return block.get("cidr") in _EVERYWHERE and not block.get("except")
    return peer.get("namespaceSelector") == {} and not peer.get("podSelector")


def _is_open(rule: dict[str, Any], peers: str) -> bool:
    if rule.get("ports"):
        return False
    return not rule.get(peers) or any(map(_is_anybody, elements(rule[peers])))


@derived("networkpolicy.open", "list of text")
def networkpolicy_open(event: Event) -> list[str] | None:
    """The directions (Ingress, Egress) that a write to a NetworkPolicy opens to everybody, on all ports.

    A rule without peers, or with every namespace or address as a peer. Null when there is no body and for other
    requests.
    """
    body = _stated_in(event, "networkpolicies")
    if body is None:
        return None
    ways = (("Ingress", "from"), ("Egress", "to"))
    return [way for way, peers in ways if any(_is_open(r, peers) for r in elements(dig(body, "spec", way.lower())))]


@derived("service.type", "text")
def service_type(event: Event) -> str | None:
    """The type that a write to a Service states: ClusterIP, NodePort, LoadBalancer, ExternalName; null otherwise."""
    return text(dig(_stated_in(event, "services"), "spec", "type"))


@derived("service.external_ips", "list of text")
def service_external_ips(event: Event) -> list[str] | None:
    """The externalIPs that a write to a Service states (CVE-2020-8554); null when it states none."""
    return texts(dig(_stated_in(event, "services"), "spec", "externalIPs")) or None


@derived("apiservice.target", "text")
def apiservice_target(event: Event) -> str | None:
    """The service (NAMESPACE/NAME) to which a write to an APIService hands a part of the API; null otherwise."""
    return _service(dig(_stated_in(event, "apiservices"), "spec", "service"))
