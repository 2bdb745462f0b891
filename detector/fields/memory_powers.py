"""What memory knows of roles and of those who have them: facts of the state before a request.

Powers are words: all, secrets, escalate, bind, impersonate, exec, nodes-proxy, tokens, workloads, rbac, webhooks, csr,
nodes, volumes, write.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detector.event import Event
from detector.fields.actor import actor, actor_groups
from detector.fields.facts import Facts, facts_of
from detector.fields.memory_pods import account_of, namespace, pod_place, target_pod
from detector.fields.rbac import rbac_role, rbac_subjects
from detector.fields.registry import derived
from detector.fields.request import object_labels, object_name

_ROLES = {"roles": "Role", "clusterroles": "ClusterRole"}
_BINDINGS = ("rolebindings", "clusterrolebindings")
_AUTHENTICATED = "system:authenticated"


def _role_named(event: Event, facts: Facts) -> tuple[str | None, str | None]:
    """Give kind and name of the role that a request is about, or that its binding gives."""
    ref = event.objectRef
    resource = ref.resource if ref else None
    if resource in _ROLES:
        return _ROLES[resource], object_name(event)
    if resource not in _BINDINGS or ref is None:
        return None, None
    stated: dict[str, Any] | None = rbac_role(event)
    if stated is not None and stated["name"]:
        return stated["kind"], stated["name"]
    known = facts.bindings.get(ref.namespace, object_name(event))
    return known.role if known and known.role else (None, None)


@derived("memory.role.power", "list of text")
def role_power(event: Event) -> list[str] | None:
    """The powers in the role that a binding gives, or that a request on a role is about, as they were before.

    Words: all (everything there is), secrets (reading them), escalate, bind, impersonate, exec (or attach, or ephemeral
    containers), nodes-proxy, tokens (of service accounts), workloads (making or changing pods), rbac (writing roles or
    bindings), webhooks, csr (approving or signing certificates), nodes, volumes (PersistentVolumes), write (anything).
    Null when memory does not know the role, and for other requests; cluster-admin, admin, edit and view are known.
    """
    facts = facts_of(event)
    if facts is None:
        return None
    kind, name = _role_named(event, facts)
    return facts.roles.power(kind, namespace(event), name) if name else None


@derived("memory.role.aggregated_into", "list of text")
def role_aggregated_into(event: Event) -> list[str] | None:
    """The ClusterRoles that take in the rules of the one that is written, by the labels that the write states.

    What is aggregated to view goes to edit and admin too. Null for other requests and without labels.
    """
    facts, ref = facts_of(event), event.objectRef
    if facts is None or ref is None or ref.resource != "clusterroles":
        return None
    labels: dict[str, Any] | None = object_labels(event)
    return facts.roles.aggregating(labels) if labels else None


def _power(event: Event, user: str | None, groups: Iterable[str], home: str | None) -> list[str] | None:
    facts = facts_of(event)
    return facts.bindings.power(user, groups, home) if facts else None


@derived("memory.actor.power", "list of text")
def actor_power(event: Event) -> list[str] | None:
    """The powers that the actor is known to have, by name or group, in the words of memory.role.power.

    A power in the namespace of the request alone is written namespace:secrets; a plain word is a power in the whole
    cluster. Null when none is known, which is no proof that there is none.
    """
    return _power(event, actor(event), actor_groups(event) or (), namespace(event))


@derived("memory.subject.power", "list of text")
def subject_power(event: Event) -> list[str] | None:
    """The powers that those whom a binding names are known to have already, together; in the words of actor.power.

    Null when none is known, and for other requests.
    """
    subjects: list[dict[str, Any]] = rbac_subjects(event) or []
    found: dict[str, None] = {}
    for subject in subjects:
        groups = [str(subject.get("name"))] if subject.get("kind") == "Group" else []
        found.update(dict.fromkeys(_power(event, subject["user"], groups, namespace(event)) or ()))
    return list(found) or None


def account_power(event: Event, home: str | None, name: str | None) -> list[str] | None:
    """Give the powers that a service account is known to have."""
    if not home or not name:
        return None
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{home}", _AUTHENTICATED)
    return _power(event, f"system:serviceaccount:{home}:{name}", groups, home)


@derived("memory.target.serviceaccount.power", "list of text")
def serviceaccount_power(event: Event) -> list[str] | None:
    """The powers of the service account that a request is about or asks a token of, or that its pods are to run as.

    In the words of memory.actor.power. Null when none is known, and for other requests.
    """
    account = account_of(event)
    return account_power(event, *account) if account else None


@derived("memory.target.pod.service_account_power", "list of text")
def pod_service_account_power(event: Event) -> list[str] | None:
    """The powers of the service account that the pod runs as, in the words of memory.actor.power.

    Null when none is known, and when memory does not know the pod.
    """
    pod, place = target_pod(event), pod_place(event)
    return account_power(event, place[0], pod.service_account) if pod and place else None
