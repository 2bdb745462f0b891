"""Who is given which powers: writes to roles and bindings (rbac.authorization.k8s.io)."""

from __future__ import annotations

from typing import Any

from detector.event import Event
from detector.fields.actor import actor, actor_groups, effective_groups, effective_user
from detector.fields.body import dig, elements, mapping, text
from detector.fields.registry import derived
from detector.fields.request import answered, stated

_ROLES = ("roles", "clusterroles")
_BINDINGS = ("rolebindings", "clusterrolebindings")
_GROUP = "rbac.authorization.k8s.io"
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def _stated_in(event: Event, resources: tuple[str, ...]) -> dict[str, Any] | None:
    ref = event.objectRef
    if ref is None or ref.resource not in resources or ref.apiGroup not in (_GROUP, None, ""):
        return None
    body: dict[str, Any] | None = stated(event)
    return body


def _is_whole(rule: dict[str, Any]) -> bool:
    return "verbs" in rule and ("resources" in rule or "nonResourceURLs" in rule)


@derived("rbac.rules", "list of objects")
def rbac_rules(event: Event) -> list[dict[str, Any]] | None:
    """The rules that a write to a Role or ClusterRole states, with Kubernetes' own keys (verbs, resources ...).

    From the request, a patch's part included; where a patch reaches inside a rule, so that half of it is missing, the
    answer's rules. Empty when a body states none; null when there is no body and for other requests.
    """
    body = _stated_in(event, _ROLES)
    if body is None:
        return None
    rules = elements(body.get("rules"))
    if not all(map(_is_whole, rules)):
        return elements((answered(event) or body).get("rules"))
    return rules


def username_of(subject: dict[str, Any]) -> str | None:
    """Give the username that a subject stands for; None for groups and for what names nobody."""
    kind, name, namespace = (text(subject.get(field)) for field in ("kind", "name", "namespace"))
    if kind == "ServiceAccount" and name and namespace:
        return f"system:serviceaccount:{namespace}:{name}"
    return name if kind == "User" else None


@derived("rbac.subjects", "list of objects")
def rbac_subjects(event: Event) -> list[dict[str, Any]] | None:
    """Those to whom a write to a RoleBinding or ClusterRoleBinding gives powers: kind, name, namespace and user.

    user is the name they act under (system:serviceaccount:NAMESPACE:NAME), null for a group. A JSON patch gives those
    that it adds or replaces, everything else those that it sets. Empty when a body states none; null when there is no
    body and for other requests.
    """
    body = _stated_in(event, _BINDINGS)
    if body is None:
        return None
    return [{**subject, "user": username_of(subject)} for subject in elements(body.get("subjects"))]


@derived("rbac.role", "object")
def rbac_role(event: Event) -> dict[str, Any] | None:
    """The role that a write to a binding gives: kind (Role or ClusterRole) and name.

    What a patch leaves out of it comes from the answer. Null when neither says, and for other requests.
    """
    body = _stated_in(event, _BINDINGS)
    if body is None:
        return None
    role = {**mapping(dig(answered(event), "roleRef")), **mapping(body.get("roleRef"))}
    return {"kind": role.get("kind"), "name": role.get("name")} if role else None


@derived("rbac.aggregates", "list of text")
def rbac_aggregates(event: Event) -> list[str] | None:
    """How a write to a ClusterRole ties it to others: aggregate-to-edit for such a label, aggregationRule for a rule.

    The labels quietly extend the roles view, edit and admin for all who have them. Empty when a body states none; null
    when there is no body and for other requests.
    """
    body = _stated_in(event, ("clusterroles",))
    if body is None:
        return None
    labels = mapping(dig(body, "metadata", "labels"))
    on = [name for name, value in labels.items() if value == "true"]
    found = [name.partition("/")[2] for name in on if name.startswith(_AGGREGATE)]
    return [*found, "aggregationRule"] if body.get("aggregationRule") else found


@derived("rbac.selfgrant", "boolean")
def rbac_selfgrant(event: Event) -> bool | None:
    """Whether a binding's write names the actor, or a group the actor is in, among its subjects.

    The user and groups that the actor impersonates count too. Null when the subjects are unknown.
    """
    subjects: list[dict[str, Any]] | None = rbac_subjects(event)
    if subjects is None:
        return None
    users = {actor(event), effective_user(event)} - {None}
    groups = {*(actor_groups(event) or ()), *(effective_groups(event) or ())}
    return any(
        subject["user"] in users or (subject.get("kind") == "Group" and text(subject.get("name")) in groups)
        for subject in subjects
    )
