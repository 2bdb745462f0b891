"""Whether an identity of the control plane is used as only somebody else would use it."""

from __future__ import annotations

from detector.event import Event
from detector.fields.actor import CONTROLLERS, actor, actor_builtin, agent_family
from detector.fields.body import dig
from detector.fields.credentials import credential_pod
from detector.fields.registry import derived

_BUNDLES = ("k3s", "rke2", "kubelite", "hyperkube", "k0s", "kubernetes")
"""Programs that hold several components in one."""
_CLIENTS = {
    "system:apiserver": "kube-apiserver",
    "system:kube-controller-manager": "kube-controller-manager",
    "system:kube-proxy": "kube-proxy",
    "system:kube-scheduler": "kube-scheduler",
}


@derived("actor.misused", "boolean")
def actor_misused(event: Event) -> bool | None:
    """Whether a built-in identity (actor.builtin) is used as the control plane never uses it.

    That is with a token made for a pod, by a client that does not say to be its component's, or by a controller's
    service account for a pod that nothing owns. Null for anybody else. What looks right can still be stolen.
    """
    if not actor_builtin(event):
        return None
    name = actor(event)
    if credential_pod(event) or not _is_own_client(name, agent_family(event)):
        return True
    return name in CONTROLLERS and _is_orphan(event)


def _is_own_client(name: str | None, family: str | None) -> bool:
    if name in CONTROLLERS:
        return family is not None and (family.endswith("controller-manager") or family in _BUNDLES)
    own = _CLIENTS.get(name or "")
    return own is None or family == own or family in _BUNDLES


def _is_orphan(event: Event) -> bool:
    """Say whether the request makes a pod that names no owner; every pod of a controller does."""
    ref = event.objectRef
    if event.verb != "create" or ref is None or ref.resource != "pods" or ref.subresource:
        return False
    return isinstance(event.request, dict) and not dig(event.request, "metadata", "ownerReferences")
