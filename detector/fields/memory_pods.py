"""What memory knows of the pods and workloads that a request is about: facts of the state before it."""

from __future__ import annotations

from detector.event import Event
from detector.fields.body import dig, elements, text
from detector.fields.facts import Pod, Workload, facts_of
from detector.fields.pod import image_registries, pod_serviceaccount, pod_specs
from detector.fields.registry import derived
from detector.fields.request import answered, object_name
from detector.fields.uri import proxy_path

KINDS = {
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "cronjobs": "CronJob",
    "replicationcontrollers": "ReplicationController",
}
"""The kinds of workloads that memory knows, by their resources."""
_ENDPOINTS = ("exec", "run", "attach", "portForward", "containerLogs")


def target_pod(event: Event) -> Pod | None:
    """Give the pod that a request is about; None for one that it creates, and where memory knows none."""
    facts, place = facts_of(event), pod_place(event)
    return facts.pods.get(*place) if facts is not None and place is not None else None


def pod_place(event: Event) -> tuple[str | None, str | None] | None:
    """Give namespace and name of the pod that a request is about, be it through its node's kubelet."""
    ref = event.objectRef
    if ref is None:
        return None
    if ref.resource == "pods":
        return None if event.verb == "create" and not ref.subresource else (ref.namespace, _name(event))
    if ref.resource == "nodes" and ref.subresource == "proxy":
        return _behind_kubelet(event)
    return None


def namespace(event: Event) -> str | None:
    """Give the namespace of a request."""
    return event.objectRef.namespace if event.objectRef else None


def _name(event: Event) -> str | None:
    name: str | None = object_name(event)
    return name


def _behind_kubelet(event: Event) -> tuple[str, str] | None:
    """Give the pod that a node's kubelet is asked about: /exec/NAMESPACE/POD/CONTAINER."""
    path: str = proxy_path(event) or ""
    endpoint, *names = path.strip("/").split("/")
    return (names[0], names[1]) if endpoint in _ENDPOINTS and len(names) > 1 else None


def target_workload(event: Event) -> Workload | None:
    """Give the workload that a request is about, as it was."""
    facts, ref = facts_of(event), event.objectRef
    kind = KINDS.get(ref.resource or "") if ref is not None else None
    if facts is None or ref is None or kind is None:
        return None
    return facts.workloads.get(kind, ref.namespace, _name(event))


def _owner(event: Event) -> Workload | None:
    """Give the workload whose controller makes the object of a create."""
    facts, ref = facts_of(event), event.objectRef
    if facts is None or ref is None or event.verb != "create":
        return None
    for body in (event.request, answered(event)):
        for owner in elements(dig(body, "metadata", "ownerReferences")):
            if owner.get("controller") is True:
                return facts.workloads.get(text(owner.get("kind")), ref.namespace, text(owner.get("name")))
    return None


@derived("memory.target.pod.privileged", "boolean")
def pod_privileged(event: Event) -> bool | None:
    """Whether the pod that the request is about has a privileged container.

    For requests on pods and their subresources (exec, attach, portforward, proxy, delete ...), and on a pod through its
    node's kubelet (nodes/proxy). Null when memory has not seen what the pod is made of, and for other requests.
    """
    pod = target_pod(event)
    return pod.risk.privileged if pod and pod.risk else None


@derived("memory.target.pod.host_namespaces", "list of text")
def pod_host_namespaces(event: Event) -> list[str] | None:
    """The namespaces of its node that the pod shares: hostPID, hostIPC, hostNetwork; null like ….privileged."""
    pod = target_pod(event)
    return list(pod.risk.host_namespaces) if pod and pod.risk else None


@derived("memory.target.pod.host_path", "list of text")
def pod_host_path(event: Event) -> list[str] | None:
    """The paths of its node that the pod mounts by hostPath; 8, the gravest first; null like ….privileged."""
    pod = target_pod(event)
    return list(pod.risk.host_paths) if pod and pod.risk else None


@derived("memory.target.pod.capabilities", "list of text")
def pod_capabilities(event: Event) -> list[str] | None:
    """The Linux capabilities that its containers add, upper case without CAP_; the first 8; null like ….privileged."""
    pod = target_pod(event)
    found = pod.risk.capabilities if pod and pod.risk else None
    return None if found is None else list(found)


@derived("memory.target.pod.service_account", "text")
def pod_service_account(event: Event) -> str | None:
    """The service account that the pod runs as; null like memory.target.pod.privileged."""
    pod = target_pod(event)
    return pod.service_account if pod else None


@derived("memory.target.pod.node", "text")
def pod_node(event: Event) -> str | None:
    """The node that the pod runs on; null when memory does not know, and for other requests."""
    pod = target_pod(event)
    return pod.node if pod else None


@derived("memory.target.pod.owner", "text")
def pod_owner(event: Event) -> str | None:
    """The workload that the pod belongs to in the end, as Kind/name: Deployment/web for a pod of its ReplicaSet.

    Null when it belongs to none, or memory does not know.
    """
    pod = target_pod(event)
    return pod.owner if pod else None


@derived("memory.target.pod.created_by", "text")
def pod_created_by(event: Event) -> str | None:
    """Who created the pod: often a controller; null when memory did not see it."""
    pod = target_pod(event)
    return pod.created_by if pod else None


@derived("memory.target.pod.changed_by", "text")
def pod_changed_by(event: Event) -> str | None:
    """Who is behind what the pod runs: the last to change the template that its controller made it from.

    For a pod that no controller made its creator; whoever added an ephemeral container since. Where a record lacks the
    bodies, whoever may have changed the template. Null when memory did not see it.
    """
    pod = target_pod(event)
    return pod.changed_by if pod else None


@derived("memory.target.owner.name", "text")
def owner_name(event: Event) -> str | None:
    """The workload that the new object belongs to in the end, as Kind/name, where a controller creates it.

    Deployment/web for its ReplicaSet and that one's pods, CronJob/backup for its Job and that one's pods. Null for what
    is no create of an object with a controller, and where memory does not know the controller.
    """
    owner = _owner(event)
    return owner.owner if owner else None


@derived("memory.target.owner.changed_by", "text")
def owner_changed_by(event: Event) -> str | None:
    """Who last changed the template that a controller makes the new object from; null like memory.target.owner.name.

    Null also when nobody was seen to change it.
    """
    owner = _owner(event)
    return owner.changed_by if owner else None


@derived("memory.target.owner.created_by", "text")
def owner_created_by(event: Event) -> str | None:
    """Who created the object's controller (the ReplicaSet of a pod); null like memory.target.owner.name."""
    owner = _owner(event)
    return owner.created_by if owner else None


@derived("memory.workload.new_registry", "list of text")
def workload_new_registry(event: Event) -> list[str] | None:
    """The registries in a write to a known workload from which its images never came before.

    Null when memory does not know the workload's images, or the write states none; empty when all are known.
    """
    workload = target_workload(event)
    found: list[str] = image_registries(event) or []
    if workload is None or not workload.registries or not found or event.verb == "create":
        return None
    return [registry for registry in found if registry[:128] not in workload.registries]


def account_of(event: Event) -> tuple[str | None, str] | None:
    """Give namespace and name of the service account that a request asks a token of, or makes pods run as."""
    ref = event.objectRef
    if ref is None:
        return None
    if ref.resource == "serviceaccounts":
        return (ref.namespace, name) if (name := _name(event)) else None
    if not pod_specs(event):
        return None
    stated: str | None = pod_serviceaccount(event)
    return (ref.namespace, stated or "default") if stated or event.verb == "create" else None
