"""What memory knows of the object that a request is about, of namespaces, webhooks and certificate requests."""

from __future__ import annotations

from typing import Any

from detector.event import SECOND, Event
from detector.fields.actor import actor
from detector.fields.facts import CertificateRequest, Facts, Hook, Identity, Made, Namespace, Risk, facts_of
from detector.fields.memory_pods import target_pod, target_workload
from detector.fields.network import target_of, webhook_targets
from detector.fields.registry import derived
from detector.fields.request import object_name

_ROLES = {"roles": "Role", "clusterroles": "ClusterRole"}
_BINDINGS = ("rolebindings", "clusterrolebindings")
_DANGEROUS = frozenset({
    "ALL", "BPF", "DAC_OVERRIDE", "DAC_READ_SEARCH", "MKNOD", "NET_ADMIN", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT",
    "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO",
})  # fmt: skip
"""Capabilities that lead out of a container or watch others."""
_DRIFT = 300 * SECOND


def age(facts: Facts, time: int | None) -> float | None:
    """Give the seconds since a time; 0 for one that lies a little ahead, as the clocks of API servers differ."""
    return None if time is None or time > facts.now + _DRIFT else max(0, facts.now - time) / SECOND


def _target(event: Event) -> Made | None:
    """Give the object that a request is about, of any kind that memory knows; None for one that it creates."""
    facts, ref = facts_of(event), event.objectRef
    if facts is None or ref is None or (event.verb == "create" and not ref.subresource):
        return None
    name: str | None = object_name(event)
    if ref.resource in _ROLES:
        return facts.roles.get(_ROLES[ref.resource], ref.namespace, name)
    if ref.resource in _BINDINGS:
        return facts.bindings.get(ref.namespace, name)
    if ref.resource == "namespaces":
        return facts.namespaces.get(name)
    if ref.resource == "certificatesigningrequests":
        return facts.certificates.get(name)
    return target_pod(event) or target_workload(event) or facts.hooks.get(ref.resource, name)


@derived("memory.object.age", "number")
def object_age(event: Event) -> float | None:
    """How many seconds ago the object was created that a request is about (pods, workloads, RBAC, namespaces ...).

    Also certificate requests, webhook configurations and CRDs. Null when memory saw neither the creation nor the
    object's own creationTimestamp, and for a create.
    """
    facts, found = facts_of(event), _target(event)
    return age(facts, found.created_at) if facts and found else None


@derived("memory.object.created_by", "text")
def object_created_by(event: Event) -> str | None:
    """Who created the object that a request is about; null like memory.object.age, or when memory saw no creation."""
    found = _target(event)
    return found.created_by if found else None


@derived("memory.object.risky", "boolean")
def object_risky(event: Event) -> bool | None:
    """Whether the object that a request is about was dangerous, as memory knows it.

    A pod or workload: privileged, in namespaces of its node, with a hostPath or with capabilities that lead out of it.
    A role, or a binding's role: with a word of memory.role.power other than workloads and write. Null when unknown, for
    other objects, and for a create.
    """
    facts, ref, found = facts_of(event), event.objectRef, _target(event)
    if facts is None or ref is None or found is None:
        return None
    if ref.resource in _ROLES:
        return facts.roles.risky(_ROLES[ref.resource], ref.namespace, object_name(event))
    if ref.resource in _BINDINGS:
        binding = facts.bindings.get(ref.namespace, object_name(event))
        return facts.roles.risky(binding.role[0], ref.namespace, binding.role[1]) if binding and binding.role else None
    risk: Risk | None = getattr(found, "risk", None)
    return _reaches_out(risk) if risk else None


def _reaches_out(risk: Risk) -> bool | None:
    known = (
        risk.privileged or risk.host_namespaces or risk.host_paths or _DANGEROUS.intersection(risk.capabilities or ())
    )
    if known:
        return True
    return None if risk.privileged is None or risk.capabilities is None else False


def _namespace(event: Event) -> Namespace | None:
    facts, ref = facts_of(event), event.objectRef
    if facts is None or ref is None:
        return None
    return facts.namespaces.get(object_name(event) if ref.resource == "namespaces" else ref.namespace)


def _level(event: Event, mode: str) -> str | None:
    namespace = _namespace(event)
    level: str | None = getattr(namespace, mode) if namespace else None
    return level if level is None else level or "none"


@derived("memory.namespace.pod_security.enforce", "text")
def pod_security_enforce(event: Event) -> str | None:
    """What Pod Security admission enforced in the request's namespace: privileged, baseline, restricted or none.

    For a write to a namespace the level before it. None (the word) is a namespace without the label, where the API
    server's default holds. Null when memory does not know the namespace's labels.
    """
    return _level(event, "enforce")


@derived("memory.namespace.pod_security.audit", "text")
def pod_security_audit(event: Event) -> str | None:
    """What Pod Security admission recorded in audit events of the namespace; as ….enforce, and null like it."""
    return _level(event, "audit")


@derived("memory.namespace.pod_security.warn", "text")
def pod_security_warn(event: Event) -> str | None:
    """What Pod Security admission warned of in the namespace; as ….enforce, and null like it."""
    return _level(event, "warn")


def _hook(event: Event) -> Hook | None:
    facts, ref = facts_of(event), event.objectRef
    return facts.hooks.get(ref.resource, object_name(event)) if facts and ref and event.verb != "create" else None


@derived("memory.webhook.target_before", "list of text")
def webhook_target_before(event: Event) -> list[str] | None:
    """Whom the webhook configuration that a request is about made the API server call: URLs, and NAMESPACE/NAME.

    Of CRDs the conversion webhook. Null when memory does not know, and for other requests.
    """
    hook = _hook(event)
    return None if hook is None or hook.targets is None else list(hook.targets)


@derived("memory.webhook.new_target", "list of text")
def webhook_new_target(event: Event) -> list[str] | None:
    """Whom a write to a webhook configuration adds to those it called before; empty for nobody.

    Null when memory does not know whom it called, and for other requests.
    """
    before: list[str] | None = webhook_target_before(event)
    stated: list[dict[str, Any]] | None = webhook_targets(event)
    if before is None or stated is None:
        return None
    found = dict.fromkeys(target for hook in stated if (target := target_of(hook)))
    return [target for target in found if target[:128] not in before]


def _csr(event: Event) -> CertificateRequest | None:
    facts, ref = facts_of(event), event.objectRef
    if facts is None or ref is None or ref.resource != "certificatesigningrequests" or event.verb == "create":
        return None
    return facts.certificates.get(object_name(event))


@derived("memory.csr.requester", "text")
def csr_requester(event: Event) -> str | None:
    """Who made the certificate request that is approved, changed or deleted; null when memory did not see it."""
    found = _csr(event)
    return found.created_by if found else None


@derived("memory.csr.user", "text")
def csr_user(event: Event) -> str | None:
    """The username that its certificate gives; null like memory.csr.requester, or when its body was not recorded."""
    found = _csr(event)
    return found.user if found else None


@derived("memory.csr.groups", "list of text")
def csr_groups(event: Event) -> list[str] | None:
    """The groups that its certificate gives; null like memory.csr.user."""
    found = _csr(event)
    return None if found is None or found.groups is None else list(found.groups)


@derived("memory.csr.signer", "text")
def csr_signer(event: Event) -> str | None:
    """The signer it asks; null like memory.csr.user."""
    found = _csr(event)
    return found.signer if found else None


def _identity(event: Event) -> Identity | None:
    facts, user = facts_of(event), actor(event)
    return facts.certificates.identity(user) if facts and user else None


@derived("memory.identity.from_csr", "text")
def identity_from_csr(event: Event) -> str | None:
    """The certificate request whose approval made the actor's name a user, at the first request of that name since.

    Not for those who renew their own certificate. Null afterwards, and for all other users.
    """
    found = _identity(event)
    return found.request if found else None


@derived("memory.identity.requester", "text")
def identity_requester(event: Event) -> str | None:
    """Who asked for that certificate; null like memory.identity.from_csr, or when memory did not see it."""
    found = _identity(event)
    return found.requester if found else None


@derived("memory.identity.approved_by", "text")
def identity_approved_by(event: Event) -> str | None:
    """Who approved that certificate; null like memory.identity.from_csr."""
    found = _identity(event)
    return found.approved_by if found else None


@derived("memory.identity.age", "number")
def identity_age(event: Event) -> float | None:
    """How many seconds ago that certificate was approved; null like memory.identity.from_csr."""
    facts, found = facts_of(event), _identity(event)
    return age(facts, found.at) if facts and found else None
