"""Who sent a request, whom it is authorised as, and with what program."""

from __future__ import annotations

import re
from functools import lru_cache

from detector.event import Event, UserInfo
from detector.fields.registry import derived

ANONYMOUS = "system:anonymous"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_COLONS = 3  # of system:serviceaccount:NAMESPACE:NAME; with more or less it is no service account
_NODE = "system:node:"
_BOOTSTRAP = "system:bootstrap:"

# A closed list: somebody who gets a certificate for "system:whatever" must not pass for a component.
CONTROL_PLANE = frozenset({
    "system:aggregator",
    "system:apiserver",
    "system:addon-manager",
    "system:cloud-controller-manager",
    "system:gcp-controller-manager",
    "system:k3s-controller",
    "system:k3s-supervisor",
    "system:konnectivity-server",
    "system:kube-aggregator",
    "system:kube-apiserver",
    "system:kube-controller-manager",
    "system:kube-dns",
    "system:kube-proxy",
    "system:kube-scheduler",
    "system:rke2-controller",
    "system:rke2-supervisor",
    "system:volume-scheduler",
    "aksService",
    "kube-apiserver-kubelet-client",
    "eks:addon-manager",
    "eks:api-server",
    "eks:authenticator",
    "eks:az-poller",
    "eks:certificate-controller",
    "eks:cloud-controller-manager",
    "eks:cluster-bootstrap",
    "eks:cluster-event-watcher",
    "eks:coastguard",
    "eks:endpoint-controller",
    "eks:fargate-manager",
    "eks:fargate-scheduler",
    "eks:k8s-metrics",
    "eks:kms-storage-migrator",
    "eks:network-policy-controller",
    "eks:node-manager",
    "eks:nodewatcher",
    "eks:pod-identity-mutating-webhook",
    "eks:service-operations",
    "eks:tagging-controller",
    "eks:vpc-resource-controller",
})  # fmt: skip

# https://kubernetes.io/docs/reference/access-authn-authz/rbac/#controller-roles: one service account per controller.
_CONTROLLER_NAMES = """
attachdetach-controller certificate-controller clusterrole-aggregation-controller cronjob-controller
daemon-set-controller deployment-controller device-taint-eviction-controller disruption-controller
endpoint-controller endpointslice-controller endpointslicemirroring-controller ephemeral-volume-controller
expand-controller generic-garbage-collector horizontal-pod-autoscaler job-controller
legacy-service-account-token-cleaner namespace-controller node-controller persistent-volume-binder
pod-garbage-collector pv-protection-controller pvc-protection-controller replicaset-controller
replication-controller resource-claim-controller resourcequota-controller root-ca-cert-publisher route-controller
selinux-warning-controller service-account-controller service-ca-cert-publisher service-cidrs-controller
service-controller statefulset-controller storageversionmigrator-controller token-cleaner
ttl-after-finished-controller ttl-controller vac-protection-controller validatingadmissionpolicy-status-controller
"""
CONTROLLERS = frozenset(_SERVICE_ACCOUNT + "kube-system:" + name for name in _CONTROLLER_NAMES.split())

# The name is quoted, so that nobody's name can say this.
_IMPERSONATE = re.compile(r'forbidden: User "(?:[^"\\]|\\.)*" cannot impersonate(?:-on)?[: ]')
_GENERATED_CLIENT = re.compile(r"(?:openapi-generator|swagger-codegen)/[^/ ]*/(\w+)")
_PRODUCT = re.compile(r"[^/ ]+")
_FORBIDDEN, _UNAUTHORIZED = 403, 401


@lru_cache(maxsize=8192)
def kind_of(username: str | None) -> str | None:
    """Sort a username by what Kubernetes' reserved names say; None for an empty one."""
    if not username:
        return None
    if username.startswith(_SERVICE_ACCOUNT) and username.count(":") == _COLONS:
        return "serviceaccount"
    if username.startswith((_NODE, _BOOTSTRAP)):
        return "node"
    if username == ANONYMOUS:
        return "anonymous"
    return "controlplane" if username in CONTROL_PLANE else "human"


@lru_cache(maxsize=8192)
def namespace_of(username: str | None) -> str | None:
    """Give the namespace in a service account's username; None for any other."""
    return username.split(":")[2] or None if username and kind_of(username) == "serviceaccount" else None


def _effective(event: Event) -> UserInfo | None:
    return event.impersonatedUser or event.user


@derived("actor", "text")
def actor(event: Event) -> str | None:
    """The user who sent the request. With impersonation still the real user, not the one put on.

    Null when nobody was authenticated: a 401 carries an empty user.
    """
    return (event.user.username or None) if event.user else None


@derived("actor.kind", "text")
def actor_kind(event: Event) -> str | None:
    """What the actor is: human, serviceaccount, node, controlplane, anonymous or unauthenticated.

    Told by the username alone, as RBAC does: an administrator in system:masters is human, so is an unknown name that
    begins with system:. A bootstrap token (system:bootstrap:*) is a node that is joining. Unauthenticated is the empty
    user of a 401. Null when the record names no user and is not a 401.
    """
    user = event.user
    if user is not None and user.username:
        return kind_of(user.username)
    status = event.responseStatus
    return "unauthenticated" if status is not None and status.code == _UNAUTHORIZED else None


@derived("actor.namespace", "text")
def actor_namespace(event: Event) -> str | None:
    """The namespace of an acting service account (system:serviceaccount:NAMESPACE:NAME); null for anybody else."""
    user = event.user
    return None if user is None else namespace_of(user.username)


@derived("actor.name", "text")
def actor_name(event: Event) -> str | None:
    """The service account's or node's own name, without its reserved prefix; null for anybody else."""
    name = (event.user and event.user.username) or ""
    if name.startswith(_NODE):
        return name[len(_NODE) :] or None
    return name.split(":")[3] or None if kind_of(name) == "serviceaccount" else None


@derived("actor.groups", "list of text")
def actor_groups(event: Event) -> list[str] | None:
    """The groups of the user who sent the request; null when the record lists none."""
    return event.user.groups if event.user else None


@derived("actor.builtin", "boolean")
def actor_builtin(event: Event) -> bool | None:
    """Whether the actor is the control plane itself: a component, or one of kube-controller-manager's own controllers.

    Their pods and replica sets carry out what somebody else asked for. Null when the actor is unknown.
    """
    name = event.user.username if event.user else None
    return name in CONTROLLERS or kind_of(name) == "controlplane" if name else None


@derived("effective.user", "text")
def effective_user(event: Event) -> str | None:
    """The user the request was authorised as: the impersonated one if there is one, else the actor; null for none."""
    user = _effective(event)
    return (user.username or None) if user else None


@derived("effective.groups", "list of text")
def effective_groups(event: Event) -> list[str] | None:
    """The groups the request was authorised with: those of the impersonated user if there is one, else the actor's.

    Null when the record lists none.
    """
    user = _effective(event)
    return user.groups if user else None


@derived("effective.kind", "text")
def effective_kind(event: Event) -> str | None:
    """What the user is that the request was authorised as; in the words of actor.kind, and null like it."""
    if event.impersonatedUser is not None:
        return kind_of(event.impersonatedUser.username)
    kind: str | None = actor_kind(event)
    return kind


@derived("impersonation", "text")
def impersonation(event: Event) -> str | None:
    """How the actor became somebody else: full, or the constraint that allowed it (such as impersonate:user-info).

    Constraints are those of constrained impersonation, Kubernetes 1.35 and later. Null without impersonation; a denied
    one is told by impersonation.denied.
    """
    if event.impersonatedUser is None:
        return None
    metadata = event.authenticationMetadata
    return (metadata and metadata.impersonationConstraint) or "full"


@derived("impersonation.denied", "boolean")
def impersonation_denied(event: Event) -> bool | None:
    """Whether the actor tried to become somebody else and was refused.

    Such a record has no impersonatedUser and no annotations: only the answer's text ("cannot impersonate ...") tells.
    Null when there is no answer yet, or a 403 without a text.
    """
    status = event.responseStatus
    if status is None or status.code is None:
        return None
    if status.code != _FORBIDDEN:
        return False
    return _IMPERSONATE.search(status.message) is not None if status.message else None


AGENT = 128
"""Characters of a user agent that name the program. The cut bounds what the cache can hold: one may be a megabyte."""


@lru_cache(maxsize=4096)
def program(agent: str) -> str | None:
    """Give the program that a user agent names; see agent.family."""
    agent = agent.lower()
    generated = _GENERATED_CLIENT.match(agent)
    if generated:
        return generated[1]
    product = _PRODUCT.search(agent)
    if product is None:
        return None
    return "python" if product[0].startswith("python") else product[0].removesuffix(".exe")


@derived("agent.family", "text")
def agent_family(event: Event) -> str | None:
    """The client program by its own word: the first product of the user agent, in lower case and without version.

    kubectl, curl, helm, go-http-client ...; every Python library and generated client is python, generated clients of
    other languages likewise go by their language. Null when the client sent none. The client chooses this text: good
    for catching the careless, never a reason to trust.
    """
    agent = event.userAgent
    return program(agent[:AGENT]) if agent else None
