"""A memory, the events that teach it, and what fields say afterwards."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.event import Event
from detector.fields import value_of
from detector.memory import Memory
from tests.support import event, time_at

GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "daemonsets": "apps",
    "statefulsets": "apps",
    "jobs": "batch",
    "cronjobs": "batch",
    "roles": "rbac.authorization.k8s.io",
    "clusterroles": "rbac.authorization.k8s.io",
    "rolebindings": "rbac.authorization.k8s.io",
    "clusterrolebindings": "rbac.authorization.k8s.io",
    "mutatingwebhookconfigurations": "admissionregistration.k8s.io",
    "certificatesigningrequests": "certificates.k8s.io",
}
OF_NO_NAMESPACE = {"clusterroles", "clusterrolebindings", "nodes", "namespaces", *list(GROUPS)[-2:]}
CONTROLLER = "system:serviceaccount:kube-system:{}-controller"
OPEN = {"containers": [{"name": "c", "image": "evil.example/x", "securityContext": {"privileged": True}}]}
CLOSED = {"containers": [{"name": "c", "image": "registry.example/web:1"}]}


def request(verb: str, key: str, name: str | None = None, *, at: float = 0, by: str = "alice", **more: Any) -> Event:
    """Make an event about ``resource/subresource`` in the namespace prod; ``request`` and ``response`` are bodies."""
    resource, _, subresource = key.partition("/")
    where = None if resource in OF_NO_NAMESPACE else "prod"
    ref = {"resource": resource, "namespace": where, "name": name, "apiGroup": GROUPS.get(resource)}
    ref |= {"subresource": subresource or None, "apiVersion": "v1"}
    for short, full in (("request", "requestObject"), ("response", "responseObject")):
        if short in more:
            more[full] = more.pop(short)
    code = more.pop("code", 200)
    reference = {name: value for name, value in ref.items() if value} | more.pop("ref", {})
    number = int(at * 1000)
    user = {"username": by, "groups": ["system:authenticated"], **more.pop("user", {})}
    return event(number, at=at, verb=verb, objectRef=reference, user=user, responseStatus={"code": code}, **more)


def teach(memory: Memory, *events: Event) -> Memory:
    """Show events to a memory and let it learn."""
    for one in events:
        now = one.time or 0
        memory.look(one, now)
        memory.learn(one, now)
    return memory


def told(memory: Memory, name: str, one: Event) -> Any:
    """Give a field of an event, as it is before memory learns from it."""
    one = msgspec.structs.replace(one)  # what was worked out before is not kept
    memory.look(one, one.time or time_at(0))
    return value_of(f"memory.{name}", one)


def pod(name: str, spec: dict[str, Any], owner: tuple[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """Give the body of a pod."""
    return {"kind": "Pod", "metadata": _metadata(name, owner, metadata), "spec": spec}


def workload(kind: str, name: str, spec: dict[str, Any], owner: tuple[str, str] | None = None) -> dict[str, Any]:
    """Give the body of a workload."""
    template = {"template": {"spec": spec}}
    return {
        "kind": kind,
        "metadata": _metadata(name, owner, {}),
        "spec": {"jobTemplate": {"spec": template}} if kind == "CronJob" else template,
    }


def _metadata(name: str, owner: tuple[str, str] | None, more: dict[str, Any]) -> dict[str, Any]:
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    return {"name": name, "namespace": "prod", "ownerReferences": owners, **more}


def role(kind: str, name: str, *rules: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """Give the body of a role; each rule is verbs, groups and resources, with commas."""
    parts = [dict(zip(("verbs", "apiGroups", "resources"), map(_split, rule), strict=True)) for rule in rules]
    return {"kind": kind, "metadata": {"name": name}, "rules": parts, **more}


def _split(texts: str) -> list[str]:
    return texts.split(",")


def binding(kind: str, name: str, gives: tuple[str, str], *subjects: tuple[str, str]) -> dict[str, Any]:
    """Give the body of a binding; ``gives`` is kind and name of the role, subjects are kind and name (NS/NAME)."""
    named = [_subject(*one) for one in subjects]
    return {
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"kind": gives[0], "name": gives[1]},
        "subjects": named,
    }


def _subject(kind: str, name: str) -> dict[str, str]:
    if kind != "ServiceAccount":
        return {"kind": kind, "name": name}
    namespace, _, own = name.partition("/")
    return {"kind": kind, "namespace": namespace, "name": own}
