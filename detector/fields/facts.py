"""What memory answers: the protocol through which derived fields ask it, and the nouns of its answers.

Memory lies above this room and gives each event its facts (`attach`); what it does not know is None, never "safe".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from detector.event import Event

_ATTACHED = "memory"


class Risk(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What of a pod spec reaches out of the pod. Lists are cut (`detector.memory.risk`); None is unknown."""

    privileged: bool | None = False
    host_namespaces: tuple[str, ...] = ()
    """hostPID, hostIPC, hostNetwork."""
    host_paths: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = ()


class Pod(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A pod. Times in microseconds; ``at`` is when it was first heard of."""

    at: int
    created_at: int | None = None
    created_by: str | None = None
    owner: str | None = None
    """The workload it belongs to in the end, as Kind/name."""
    changed_by: str | None = None
    """Who wrote what it runs: the last to change the template it was made from."""
    service_account: str | None = None
    node: str | None = None
    risk: Risk | None = None


class Workload(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob or ReplicationController."""

    at: int
    created_at: int | None = None
    created_by: str | None = None
    owner: str | None = None
    """What it belongs to in the end, as Kind/name: itself when nothing controls it."""
    changed_by: str | None = None
    template: bytes | None = None
    """Digest of its pod template."""
    service_account: str | None = None
    risk: Risk | None = None
    registries: tuple[str, ...] = ()
    """Every registry its images ever came from."""


class Role(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A Role or ClusterRole."""

    at: int
    created_at: int | None = None
    created_by: str | None = None
    powers: int | None = None
    """A set of words (`detector.memory.powers`)."""
    selectors: tuple[tuple[tuple[str, str], ...], ...] = ()
    """The labels of roles whose rules it takes in: name and value, all of one selector."""


class Binding(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A RoleBinding or ClusterRoleBinding."""

    at: int
    created_at: int | None = None
    created_by: str | None = None
    role: tuple[str, str] | None = None
    """Kind and name."""
    subjects: tuple[str, ...] = ()
    """``user:NAME`` or ``group:NAME``; a service account by the username it acts under."""


class Pods(Protocol):
    """What is known of pods."""

    def get(self, namespace: str | None, name: str | None) -> Pod | None:
        """Give a pod."""


class Workloads(Protocol):
    """What is known of the workloads that pods belong to."""

    def get(self, kind: str | None, namespace: str | None, name: str | None) -> Workload | None:
        """Give a workload; ``kind`` as in Deployment."""


class Roles(Protocol):
    """What is known of roles. Powers are words, see `detector.memory.powers`."""

    def get(self, kind: str | None, namespace: str | None, name: str | None) -> Role | None:
        """Give a Role or ClusterRole."""

    def power(self, kind: str | None, namespace: str | None, name: str | None) -> list[str] | None:
        """Give the powers in one, built-in ones included."""

    def aggregating(self, labels: Mapping[str, Any]) -> list[str]:
        """Give the names of the ClusterRoles that take in the rules of one with such labels."""


class Bindings(Protocol):
    """What is known of who has which roles."""

    def get(self, namespace: str | None, name: str | None) -> Binding | None:
        """Give a RoleBinding, or without a namespace a ClusterRoleBinding."""

    def power(self, user: str | None, groups: Iterable[str], namespace: str | None) -> list[str] | None:
        """Give the powers somebody has in the cluster, and (``namespace:WORD``) those only in a namespace."""


class Facts(Protocol):
    """The state of a cluster before an event."""

    @property
    def now(self) -> int:
        """The time of the event that is looked at (microseconds)."""

    @property
    def pods(self) -> Pods:
        """Pods."""

    @property
    def workloads(self) -> Workloads:
        """Workloads."""

    @property
    def roles(self) -> Roles:
        """Roles."""

    @property
    def bindings(self) -> Bindings:
        """Bindings."""


class Memory(Protocol):
    """What shows an event its facts, and then learns from it."""

    def look(self, event: Event, now: int) -> None:
        """Give the event the facts of the state before it; ``now`` is its time (microseconds)."""

    def learn(self, event: Event, now: int) -> None:
        """Take in what the event tells."""


def attach(event: Event, facts: Facts) -> None:
    """Give an event its facts."""
    event.__dict__[_ATTACHED] = facts


def facts_of(event: Event) -> Facts | None:
    """Give the facts of an event; None where there is no memory."""
    facts: Facts | None = event.__dict__.get(_ATTACHED)
    return facts
