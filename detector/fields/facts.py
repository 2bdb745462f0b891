"""What memory answers: the protocol through which derived fields ask it, and the nouns of its answers.

Memory lies above this room and gives each event its facts (`attach`); what it does not know is None, never "safe".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from detector.event import Event
from detector.fields.habits import Audit, Denied, Identities, Tokens

_ATTACHED = "memory"


class Risk(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What of a pod spec reaches out of the pod. Lists are cut (`detector.memory.risk`); None is unknown."""

    privileged: bool | None = False
    host_namespaces: tuple[str, ...] = ()
    """hostPID, hostIPC, hostNetwork."""
    host_paths: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = ()


class Made(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An object, when it was first heard of (``at``), when it was made, and by whom. Times in microseconds."""

    at: int
    created_at: int | None = None
    created_by: str | None = None


class Pod(Made, frozen=True):
    """A pod."""

    owner: str | None = None
    """The workload it belongs to in the end, as Kind/name."""
    changed_by: str | None = None
    """Who wrote what it runs: the last to change the template it was made from."""
    service_account: str | None = None
    node: str | None = None
    risk: Risk | None = None


class Workload(Made, frozen=True):
    """A Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob or ReplicationController."""

    owner: str | None = None
    """What it belongs to in the end, as Kind/name: itself when nothing controls it."""
    changed_by: str | None = None
    template: str | None = None
    """Digest of its pod template."""
    service_account: str | None = None
    risk: Risk | None = None
    registries: tuple[str, ...] = ()
    """Every registry its images ever came from."""


class Role(Made, frozen=True):
    """A Role or ClusterRole."""

    powers: int | None = None
    """A set of words (`detector.memory.powers`)."""
    selectors: tuple[tuple[tuple[str, str], ...], ...] = ()
    """The labels of roles whose rules it takes in: name and value, all of one selector."""


class Binding(Made, frozen=True):
    """A RoleBinding or ClusterRoleBinding."""

    role: tuple[str, str] | None = None
    """Kind and name."""
    subjects: tuple[str, ...] = ()
    """``user:NAME`` or ``group:NAME``; a service account by the username it acts under."""


class Namespace(Made, frozen=True):
    """A namespace: its levels of Pod Security, "" where it has no such label."""

    enforce: str | None = None
    audit: str | None = None
    warn: str | None = None


class Hook(Made, frozen=True):
    """An admission webhook configuration, or a CRD with a conversion webhook."""

    targets: tuple[str, ...] | None = None
    """URLs, and services as NAMESPACE/NAME."""


class CertificateRequest(Made, frozen=True):
    """A CertificateSigningRequest; whoever created it is its requester."""

    user: str | None = None
    groups: tuple[str, ...] | None = None
    signer: str | None = None


class Identity(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A username for which a certificate was approved, and that was not used since."""

    at: int
    request: str
    requester: str | None = None
    approved_by: str | None = None


class Grant(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a binding gave one subject, and that was not used since."""

    at: int
    by: str | None = None


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

    def risky(self, kind: str | None, namespace: str | None, name: str | None) -> bool | None:
        """Tell whether a role leads to the powers of others."""

    def aggregating(self, labels: Mapping[str, Any]) -> list[str]:
        """Give the names of the ClusterRoles that take in the rules of one with such labels."""


class Bindings(Protocol):
    """What is known of who has which roles."""

    def get(self, namespace: str | None, name: str | None) -> Binding | None:
        """Give a RoleBinding, or without a namespace a ClusterRoleBinding."""

    def power(self, user: str | None, groups: Iterable[str], namespace: str | None) -> list[str] | None:
        """Give the powers somebody has in the cluster, and (``namespace:WORD``) those only in a namespace."""


class Grants(Protocol):
    """What bindings gave and nobody has used yet."""

    def get(self, reason: str) -> Grant | None:
        """Give a grant by the authorizer's reason for allowing a request (authorization.k8s.io/reason)."""


class Namespaces(Protocol):
    """What is known of namespaces."""

    def get(self, name: str | None) -> Namespace | None:
        """Give a namespace."""


class Hooks(Protocol):
    """What is known of webhooks."""

    def get(self, resource: str | None, name: str | None) -> Hook | None:
        """Give the configuration of a resource such as mutatingwebhookconfigurations."""


class Certificates(Protocol):
    """What is known of certificate requests and of the identities they make."""

    def get(self, name: str | None) -> CertificateRequest | None:
        """Give a certificate request."""

    def identity(self, user: str | None) -> Identity | None:
        """Give the identity of a user, until it is used for the first time."""


class Facts(Protocol):
    """The state of a cluster before an event."""

    @property
    def now(self) -> int:
        """The time of the event that is looked at (microseconds)."""

    @property
    def familiar(self) -> bool:
        """Whether memory has just seen the user do such a thing in the same way, so that nothing in it is new."""

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

    @property
    def grants(self) -> Grants:
        """Grants not used yet."""

    @property
    def namespaces(self) -> Namespaces:
        """Namespaces."""

    @property
    def hooks(self) -> Hooks:
        """Webhooks."""

    @property
    def certificates(self) -> Certificates:
        """Certificate requests."""

    @property
    def denied(self) -> Denied:
        """Refusals."""

    @property
    def tokens(self) -> Tokens:
        """Credentials, and where they are used."""

    @property
    def identities(self) -> Identities:
        """People and programs."""

    @property
    def audit(self) -> Audit:
        """The audit log itself."""


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
