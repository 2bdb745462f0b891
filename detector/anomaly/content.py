"""What a request carries, as texts the model can count: images, powers, subjects, commands, mounts, targets.

Each function gives the values of one feature, or nothing. Most requests carry none of it: what is cheap is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from detector.event import Event
from detector.fields.body import dig, elements, mapping, text
from detector.fields.credentials import csr_signer, csr_subject, secret_type, token_audiences, token_bound
from detector.fields.network import apiservice_target, service_type, target_of, webhook_targets
from detector.fields.pod import (
    PLACES,
    capabilities_added,
    container_commands,
    host_paths,
    images,
    pod_serviceaccount,
    pod_specs,
)
from detector.fields.rbac import rbac_role, rbac_rules, rbac_subjects
from detector.fields.request import STATING, patch_paths, stated
from detector.fields.uri import exec_argv

Getter = Callable[[Event], Iterable[str]]
_SHARED = ("hostPID", "hostIPC", "hostNetwork")
_LIFETIMES = (3_600, 86_400)
_RULES = 8


def _resource(event: Event) -> str:
    return (event.objectRef.resource or "") if event.objectRef is not None else ""


def repository_of(image: str) -> str:
    """Give an image without tag and digest."""
    place = image.partition("@")[0]
    head, slash, last = place.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _images(event: Event) -> Iterable[str]:
    return map(repository_of, images(event) or ())


def _registries(event: Event) -> Iterable[str]:
    return (repository_of(image).rpartition("/")[0] or "docker.io" for image in images(event) or ())


def _commands(event: Event) -> Iterable[str]:
    argv: list[str] = exec_argv(event) or []
    if argv:
        return (" ".join(argv[:2]),)
    return (command.partition(" ")[0] for command in container_commands(event) or ())


def _powers(event: Event) -> Iterable[str]:
    if not _resource(event).endswith(("rolebindings", "roles")):
        return
    role = rbac_role(event)
    if role:
        yield f"{role['kind']} {role['name']}"
    for rule in (rbac_rules(event) or ())[:_RULES]:
        yield " ".join(_joined(rule.get(part)) for part in ("verbs", "resources", "nonResourceURLs"))


def _joined(values: Any) -> str:
    return ",".join(sorted(value for value in values if isinstance(value, str))) if isinstance(values, list) else ""


def _subjects(event: Event) -> Iterable[str]:
    if not _resource(event).endswith("rolebindings"):
        return ()
    found: list[dict[str, Any]] = rbac_subjects(event) or []
    return (one["user"] or f"{text(one.get('kind')) or ''} {text(one.get('name')) or ''}" for one in found)


def _isolation(event: Event) -> Iterable[str]:
    """Give what pods share with their node, and what they are allowed there."""
    for spec in pod_specs(event) or ():
        yield from (name for name in _SHARED if spec.get(name) is True)
        for container in elements(spec.get("containers")) + elements(spec.get("ephemeralContainers")):
            context = mapping(container.get("securityContext"))
            yield from (name for name in ("privileged", "allowPrivilegeEscalation") if context.get(name) is True)
    yield from (f"capability {name}" for name in capabilities_added(event) or ())


def _exposure(event: Event) -> Iterable[str]:
    kind: str | None = service_type(event)
    return (kind,) if kind else ()


def _account(event: Event) -> Iterable[str]:
    name: str | None = pod_serviceaccount(event)
    return (name,) if name else ()


def _targets(event: Event) -> Iterable[str]:
    place: str | None = apiservice_target(event)
    hooks: list[dict[str, Any]] = webhook_targets(event) or []
    return filter(None, (place, *map(target_of, hooks)))


def _patched(event: Event) -> Iterable[str]:
    """Give the parts a patch touches, to the depth where names begin that are the client's."""
    if event.verb != "patch":
        return ()
    return (".".join(path.split(".")[:6]) for path in patch_paths(event) or () if not path.startswith("status."))


def _credentials(event: Event) -> Iterable[str]:
    kind: str | None = secret_type(event)
    if kind:
        yield kind
    subject = csr_subject(event)
    if subject:
        yield f"{csr_signer(event)} {subject['common_name']} {_joined(subject['organizations'])}"
    audiences: list[str] | None = token_audiences(event)
    if audiences is not None:
        yield f"{_joined(audiences)} {(token_bound(event) or '').partition('/')[0]}"


def _settings(event: Event) -> Iterable[str]:
    """Give settings that stand for much: replicas of nothing, Pod Security levels, a node taken out of use."""
    if event.verb not in STATING or _resource(event) not in _WITH_SETTINGS:
        return
    body = stated(event)
    replicas = dig(body, "spec", "replicas")
    if isinstance(replicas, int):
        yield "replicas 0" if replicas == 0 else "replicas"
    if dig(body, "spec", "unschedulable") is True:
        yield "unschedulable"
    if _resource(event) == "namespaces":
        for name, value in mapping(dig(body, "metadata", "labels")).items():
            if name.startswith("pod-security."):
                yield f"{name}={value}"


_WITH_SETTINGS = frozenset({"deployments", "statefulsets", "replicasets", "nodes", "namespaces"})

CONTENTS: dict[str, Getter] = {
    "image": _images,
    "registry": _registries,
    "command": _commands,
    "power": _powers,
    "subject": _subjects,
    "isolation": _isolation,
    "host path": lambda event: host_paths(event) or (),
    "exposure": _exposure,
    "service account": _account,
    "target": _targets,
    "patched": _patched,
    "credential asked": _credentials,
    "setting": _settings,
}

_WORKLOAD = ("image", "registry", "command", "isolation", "host path", "service account")
_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PLACES, _WORKLOAD),
    "persistentvolumes": ("host path",),
    **dict.fromkeys(("roles", "clusterroles"), ("power",)),
    **dict.fromkeys(("rolebindings", "clusterrolebindings"), ("power", "subject")),
    "services": ("exposure",),
    **dict.fromkeys(
        (
            "apiservices",
            "customresourcedefinitions",
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ),
        ("target",),
    ),
    **dict.fromkeys(("secrets", "certificatesigningrequests"), ("credential asked",)),
}
_BY_SUBRESOURCE: dict[str, tuple[str, ...]] = {
    "exec": ("command",),
    "token": ("credential asked",),
    "approval": ("credential asked",),
    "ephemeralcontainers": _WORKLOAD,
    "scale": ("setting",),
}


@lru_cache(maxsize=4096)
def asked_of(verb: str | None, resource: str, subresource: str | None, group: str | None) -> tuple[str, ...]:
    """Give which contents a kind of request can carry: looking for the others would be for nothing."""
    if subresource:
        found = _BY_SUBRESOURCE.get(subresource, ())
    elif verb not in STATING:
        return ()
    else:
        custom = _WORKLOAD if group and "." in group and not group.endswith(".k8s.io") else ()
        found = (*_OF.get(resource, custom), *(("setting",) if resource in _WITH_SETTINGS else ()))
    return (*found, "patched") if verb == "patch" and subresource != "status" else found
