"""What every subject of memory is, and what they share: who did it, what the object is now, keys of bounded length."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from detector.bounded import fit
from detector.event import Event, ObjectRef, micros
from detector.fields.actor import actor, actor_builtin
from detector.fields.body import dig, elements, text
from detector.fields.facts import Made
from detector.fields.request import answered
from detector.memory.table import Table

LONGEST = 253
"""Longest name of Kubernetes' own; a longer text is known by its digest, and shown cut."""
WRITES = ("create", "update", "patch", "delete")
RBAC = "rbac.authorization.k8s.io"
KINDS = {
    "pods": "Pod",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "cronjobs": "CronJob",
    "replicationcontrollers": "ReplicationController",
    "roles": "Role",
    "clusterroles": "ClusterRole",
    "rolebindings": "RoleBinding",
    "clusterrolebindings": "ClusterRoleBinding",
    "namespaces": "Namespace",
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "customresourcedefinitions": "CustomResourceDefinition",
    "certificatesigningrequests": "CertificateSigningRequest",
}
"""The kind in the body of a write to a resource."""


Places = Mapping[tuple[str, str], tuple[str, ...]]
"""Kinds of requests: (API group, resource or resource/subresource), and the verbs."""


class Subject:
    """One subject of memory.

    A subject is a file with such a class, a line in `detector.memory.memory.Memory`, its questions in
    `detector.fields.facts` and its fields in a file ``detector/fields/memory_*.py``. All state is in ``tables``.
    """

    teaches: ClassVar[Places] = {}
    """From which requests it learns."""
    every: ClassVar[bool] = False
    """Whether `watch` wants every event, refused ones too. It costs what it costs for each event there is."""

    def __init__(self, **tables: Table[Any]) -> None:
        self.tables = tables

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a request of ``teaches`` (on ``ref``) that succeeded and was no dry run."""

    def watch(self, event: Event, now: int) -> None:
        """Take in any event; before `learn`."""

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in an object as the API server has it, of any kind: from a dump of the cluster."""

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {name: table.dump() for name, table in self.tables.items()}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; tables that it did not have stay empty."""
        for name, table in self.tables.items():
            if name in state:
                table.restore(state[name])
        self.follow()

    def follow(self) -> None:
        """Work out anew what follows from the tables, which were changed from outside."""


def key_of(*parts: str | None) -> tuple[str, ...]:
    """Make a key of names, each at most `LONGEST` characters."""
    return tuple(map(known_as, parts))


def known_as(name: str | None) -> str:
    """Give a name, or for a long one its digest: no name is so long that it can pass for another."""
    if name is None or len(name) <= LONGEST:
        return name or ""
    return "#" + blake2b(name.encode(errors="replace"), digest_size=16).hexdigest()


def shown(name: str | None) -> str | None:
    """Give a name cut to what is kept of it."""
    return fit(name, LONGEST) if name else None


def author(event: Event) -> str | None:
    """Give the actor, cut to what is kept."""
    return shown(actor(event))


def by_itself(event: Event) -> bool:
    """Tell whether the cluster's own machinery acts, and so carries out what somebody else asked for."""
    return actor_builtin(event) is True


def after(event: Event) -> dict[str, Any] | None:
    """Give the whole object as a successful create, update or patch left it; None where the record lacks it.

    The answer is believed only when it is of the object's own kind: a client may have asked for its metadata alone.
    Of a create or update the request is the next best.
    """
    kind = KINDS.get((event.objectRef and event.objectRef.resource) or "")
    answer = answered(event)
    if answer is not None and answer.get("kind") == kind:
        return answer
    stated = event.request if event.verb in ("create", "update") else None
    return stated if isinstance(stated, dict) and stated.get("kind") in (None, kind) else None


def created_at(body: dict[str, Any] | None, now: int) -> int | None:
    """Give when an object was created by the API server's own word; no later than now."""
    time = micros(text(dig(body, "metadata", "creationTimestamp")))
    return None if time is None else min(time, now)


def begun(event: Event, body: dict[str, Any] | None, known: Made | None, now: int) -> dict[str, Any]:
    """Give the attributes of `Made` after a write."""
    if event.verb == "create":
        return {"at": now, "created_at": now, "created_by": author(event)}
    if known is None:
        return {"at": now, "created_at": created_at(body, now)}
    return {"at": known.at, "created_at": known.created_at, "created_by": known.created_by}


def controller_of(body: dict[str, Any] | None) -> tuple[str, str] | None:
    """Give kind and name of the controller that an object belongs to; None when it has none."""
    metadata = body.get("metadata") if body else None
    for owner in elements(metadata.get("ownerReferences")) if isinstance(metadata, dict) else ():
        kind, name = text(owner.get("kind")), text(owner.get("name"))
        if owner.get("controller") is True and kind and name:
            return kind, name
    return None
