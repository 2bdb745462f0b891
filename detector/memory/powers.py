"""Powers: the words for what a role lets its holders do, as far as that leads to more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from detector.fields.body import elements, texts

RBAC, CORE = "rbac.authorization.k8s.io", ""
_READ = frozenset({"get", "list", "watch"})
_WRITE = frozenset({"create", "update", "patch"})
_CHANGE = _WRITE | {"delete", "deletecollection"}
_WORKLOADS = frozenset({"pods", "replicationcontrollers", "podtemplates"})
_TEMPLATES = frozenset({"deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs"})
_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})
_WEBHOOKS = frozenset({"validatingwebhookconfigurations", "mutatingwebhookconfigurations"})
_IDENTITIES = frozenset({"users", "groups", "serviceaccounts", "uids", "userextras"})
_NO_WRITES = frozenset({"authorization.k8s.io", "authentication.k8s.io", "events.k8s.io", "coordination.k8s.io"})


class _Rule:
    """One rule of a role: which verbs on what."""

    def __init__(self, rule: dict[str, Any]) -> None:
        self.verbs, self.groups, self.resources = (
            frozenset(texts(rule.get(name))) for name in ("verbs", "apiGroups", "resources")
        )
        self.named = bool(texts(rule.get("resourceNames")))

    def does(self, verbs: frozenset[str] | set[str], group: str, resources: frozenset[str] | set[str]) -> bool:
        """Tell whether it allows any of some verbs on any of some resources of a group."""
        return (
            ("*" in self.verbs or not self.verbs.isdisjoint(verbs))
            and ("*" in self.groups or group in self.groups)
            and self._covers(resources)
        )

    def _covers(self, resources: frozenset[str] | set[str]) -> bool:
        if "*" in self.resources or not self.resources.isdisjoint(resources):
            return True
        # pods/* and */exec cover pods/exec.
        parts = [resource.partition("/") for resource in resources if "/" in resource]
        return any(f"{one}/*" in self.resources or f"*/{part}" in self.resources for one, _, part in parts)


def _impersonates(rule: _Rule) -> bool:
    # Constrained impersonation has verbs such as impersonate:user-info and impersonate-on:user-info:list.
    verbs = {verb for verb in rule.verbs if verb.startswith("impersonate")}
    extras = {resource for resource in rule.resources if resource.startswith("userextras/")}
    return any(
        rule.does(verbs | {"impersonate"}, group, _IDENTITIES | extras) for group in (CORE, "authentication.k8s.io")
    )


def _writes(rule: _Rule) -> bool:
    changes = "*" in rule.verbs or not rule.verbs.isdisjoint(_CHANGE)
    return changes and bool(rule.resources) and not rule.groups <= _NO_WRITES


_TESTS: dict[str, Callable[[_Rule], bool]] = {
    "all": lambda rule: {"*"} <= rule.verbs and {"*"} <= rule.resources and {"*"} <= rule.groups,
    "secrets": lambda rule: not rule.named and rule.does(_READ, CORE, {"secrets"}),
    "escalate": lambda rule: rule.does({"escalate"}, RBAC, _ROLES),
    "bind": lambda rule: rule.does({"bind"}, RBAC, _ROLES),
    "impersonate": _impersonates,
    "exec": lambda rule: (
        rule.does({"create", "get"}, CORE, {"pods/exec", "pods/attach"})
        or rule.does({"update", "patch"}, CORE, {"pods/ephemeralcontainers"})
    ),
    "nodes-proxy": lambda rule: rule.does(_READ | _CHANGE, CORE, {"nodes/proxy"}),
    "tokens": lambda rule: rule.does({"create"}, CORE, {"serviceaccounts/token"}),
    "workloads": lambda rule: (
        rule.does(_WRITE, CORE, _WORKLOADS)
        or rule.does(_WRITE, "apps", _TEMPLATES)
        or rule.does(_WRITE, "batch", _TEMPLATES)
    ),
    "rbac": lambda rule: rule.does(_WRITE, RBAC, _ROLES | _BINDINGS),
    "webhooks": lambda rule: rule.does(_WRITE, "admissionregistration.k8s.io", _WEBHOOKS),
    "csr": lambda rule: rule.does(
        {"update", "patch", "approve", "sign"},
        "certificates.k8s.io",
        {"certificatesigningrequests/approval", "signers"},
    ),
    "nodes": lambda rule: rule.does(_CHANGE, CORE, {"nodes"}),
    "volumes": lambda rule: rule.does(_WRITE, CORE, {"persistentvolumes"}),
    "write": _writes,
}
WORDS = tuple(_TESTS)
"""All words, in the order in which they are told. What each means: the field memory.role.power."""
ALL = 1
"""The set of `all`; sets of words are numbers, one bit each in the order of `WORDS`."""
EVERYTHING = (1 << len(WORDS)) - 1


def powers_of(rules: Any) -> int:
    """Read the rules of a role, as a set of words."""
    found = 0
    for rule in map(_Rule, elements(rules)):
        for number, test in enumerate(_TESTS.values()):
            if not found & (1 << number) and test(rule):
                found |= 1 << number
    return EVERYTHING if found & ALL else found


def words(powers: int) -> list[str]:
    """Write a set of words out."""
    return [word for number, word in enumerate(WORDS) if powers & (1 << number)]


def set_of(names: Iterable[str]) -> int:
    """Make a set of words."""
    return sum(1 << WORDS.index(name) for name in names)


DANGEROUS = set_of(set(WORDS) - {"write", "workloads"})
"""Words that lead to the powers of others by themselves."""
_EDIT = ("secrets", "impersonate", "exec", "tokens", "workloads", "write")
BUILT_IN = {
    "cluster-admin": EVERYTHING,
    "admin": set_of((*_EDIT, "rbac")),
    "edit": set_of(_EDIT),
    "view": 0,
}
"""ClusterRoles as Kubernetes makes them: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles"""
