"""What the pods would be that a request makes or changes, wherever in the request they are described."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any

from detector.event import Event, ObjectRef
from detector.fields.body import dig, elements, text, texts
from detector.fields.registry import derived
from detector.fields.request import STATING, stated

LISTS = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATE = ("spec", "template", "spec")
_JOB_TEMPLATE = ("spec", "jobTemplate", "spec", "template", "spec")
PLACES: dict[str, tuple[str, ...]] = {
    "pods": ("spec",),
    "podtemplates": ("template", "spec"),
    "deployments": _TEMPLATE,
    "replicasets": _TEMPLATE,
    "statefulsets": _TEMPLATE,
    "daemonsets": _TEMPLATE,
    "jobs": _TEMPLATE,
    "replicationcontrollers": _TEMPLATE,
    "cronjobs": _JOB_TEMPLATE,
}
_SUBRESOURCES = (None, "", "ephemeralcontainers", "resize")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


def _is_custom(ref: ObjectRef) -> bool:
    """Say whether the group is somebody's own: custom workloads (rollouts, services of Knative) hold pod templates."""
    group = ref.apiGroup or ""
    return "." in group and not group.endswith(".k8s.io")


def _places(event: Event) -> list[tuple[str, ...]]:
    ref = event.objectRef
    if ref is None or event.verb not in STATING or ref.subresource not in _SUBRESOURCES:
        return []
    place = PLACES.get(ref.resource or "")
    if place is not None:
        # Until Kubernetes 1.21 the list of ephemeral containers was an object of its own.
        return [place, ()] if ref.subresource == "ephemeralcontainers" else [place]
    return [_TEMPLATE, _JOB_TEMPLATE] if _is_custom(ref) else []


def _is_pod_spec(place: tuple[str, ...], spec: Any) -> bool:
    if not isinstance(spec, dict) or not spec:
        return False
    return place != () or "ephemeralContainers" in spec


@derived("pod_spec", "list of objects")
def pod_specs(event: Event) -> list[dict[str, Any]] | None:
    """The pod specs that a create, update or patch states, with Kubernetes' own keys (hostPID, volumes, nodeName ...).

    From a Pod, from the template of a Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, PodTemplate or
    ReplicationController, from ephemeral containers, and from custom workloads with spec.template.spec. A patch of any
    kind gives the part that it names. The answer's object is asked only when the request's body cannot be read. Empty
    when a body is there and states none; null when there is no body, and for other resources, verbs, status and scale.
    """
    places = _places(event)
    body = stated(event) if places else None
    if body is None:
        return None
    found = ((place, dig(body, *place)) for place in places)
    return [spec for place, spec in found if _is_pod_spec(place, spec)]


@derived("containers", "list of objects", within="pod_spec")
def containers(event: Event) -> list[dict[str, Any]] | None:
    """Every container of pod_spec, with Kubernetes' own keys and one more, list, which says which list it is from.

    That is containers, initContainers or ephemeralContainers. Null like pod_spec.
    """
    specs: list[dict[str, Any]] | None = pod_specs(event)
    if specs is None:
        return None
    return [{**item, "list": name} for spec in specs for name in LISTS for item in elements(spec.get(name))]


@derived("images", "list of text", within="pod_spec")
def images(event: Event) -> list[str] | None:
    """The image of every container, as written; null like pod_spec."""
    found: list[dict[str, Any]] | None = containers(event)
    return None if found is None else texts([item.get("image") for item in found])


def registry_of(image: str) -> str:
    """Give the registry of an image reference; docker.io when it names none."""
    # https://github.com/distribution/reference: the first part is a host when it has a dot or a port, or is localhost.
    first, slash, _ = image.partition("/")
    return first.lower() if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


@derived("image.registries", "list of text", within="pod_spec")
def image_registries(event: Event) -> list[str] | None:
    """The registries the images come from, each once; docker.io for an image that names none; null like pod_spec."""
    found: list[str] | None = images(event)
    return None if found is None else list(dict.fromkeys(registry_of(image) for image in found))


@derived("volumes", "list of objects", within="pod_spec")
def volumes(event: Event) -> list[dict[str, Any]] | None:
    """Every volume of pod_spec, with Kubernetes' own keys (hostPath, secret, projected ...); null like pod_spec."""
    specs: list[dict[str, Any]] | None = pod_specs(event)
    return None if specs is None else [volume for spec in specs for volume in elements(spec.get("volumes"))]


def plain_path(path: str) -> str:
    """Write a path one way: //etc/./x/ is /etc/x."""
    return posixpath.normpath("/" + path.lstrip("/"))


@derived("host_paths", "list of text")
def host_paths(event: Event) -> list[str] | None:
    """The paths of the node that are mounted: each volume's hostPath, or a PersistentVolume's hostPath or local path.

    Written one way: without double or trailing slashes. Null like pod_spec, or without a PersistentVolume's body.
    """
    ref = event.objectRef
    if ref is not None and ref.resource == "persistentvolumes":
        body = stated(event)
        sources = None if body is None else [dig(body, "spec", kind, "path") for kind in ("hostPath", "local")]
    else:
        found: list[dict[str, Any]] | None = volumes(event)
        sources = None if found is None else [dig(volume, "hostPath", "path") for volume in found]
    return None if sources is None else [plain_path(path) for path in texts(sources)]


@derived("pod.serviceaccount", "text", within="pod_spec")
def pod_serviceaccount(event: Event) -> str | None:
    """The service account that the pods run as (serviceAccountName, or the old serviceAccount) where pod_spec says so.

    Null when it does not: a new pod then runs as default, a patched one as before.
    """
    specs: list[dict[str, Any]] = pod_specs(event) or []
    return next((name for spec in specs for name in _accounts(spec)), None)


def _accounts(spec: dict[str, Any]) -> Iterable[str]:
    return filter(None, (text(spec.get("serviceAccountName")), text(spec.get("serviceAccount"))))


def _commands(container: dict[str, Any]) -> Iterable[list[str]]:
    yield texts(container.get("command")) + texts(container.get("args"))
    for hook in _HOOKS:
        yield texts(dig(container, "lifecycle", hook, "exec", "command"))
    for probe in _PROBES:
        yield texts(dig(container, probe, "exec", "command"))


@derived("container.command", "list of text", within="pod_spec")
def container_commands(event: Event) -> list[str] | None:
    """What each container runs, one text each: command and args joined by spaces; also its hooks' and probes' commands.

    A container that runs what its image says adds nothing. Null like pod_spec.
    """
    found: list[dict[str, Any]] | None = containers(event)
    if found is None:
        return None
    return [" ".join(command) for container in found for command in _commands(container) if command]


@derived("capabilities.added", "list of text", within="pod_spec")
def capabilities_added(event: Event) -> list[str] | None:
    """The Linux capabilities that containers add, each once, in upper case without CAP_; null like pod_spec."""
    found: list[dict[str, Any]] | None = containers(event)
    if found is None:
        return None
    names = (name for item in found for name in texts(dig(item, "securityContext", "capabilities", "add")))
    return list(dict.fromkeys(name.upper().removeprefix("CAP_") for name in names))
