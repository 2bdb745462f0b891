"""A pod spec, reduced to what of it reaches out of the pod."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec
import orjson

from detector.bounded import fit
from detector.fields.body import dig, elements, text, texts
from detector.fields.facts import Risk
from detector.fields.pod import LISTS, plain_path, registry_of

NAMESPACES = ("hostPID", "hostIPC", "hostNetwork")
MOST = 8
"""Paths, capabilities and registries kept of one pod spec."""
_READ = 4_096
"""Characters looked at of a path; longer ones are no paths to Linux."""
WIDEST = 128
"""Bytes kept of each."""
_NODE = re.compile(
    r"/|/(etc|root|home|boot|proc|sys|dev|bin|sbin|lib|usr|run|var)|/usr/(local/)?s?bin|/(opt|etc)/cni(/bin|/net\.d)?"
    r"|/var/(lib|run|log)|/var/lib/(kubelet|docker|containerd)|(/var)?/run/(containerd|docker|crio)"
    r"|(?i:.*/(docker|containerd|crio|cri-dockerd|podman|dockershim)\.sock)"
    r"|/etc/(passwd|shadow|sudoers|group|ld\.so\.preload)"
    r"|/etc/(kubernetes|ssh|cron|systemd|rancher).*|(/usr)?/lib/systemd.*|/var/(spool/cron|lib/etcd|lib/rancher).*"
    r"|/root/\..*|.*/\.(ssh|kube|aws|docker)(/.*)?|/dev/(block|cpu|disk|dm-|k?mem|mapper|md|nvme|port|s[dr]|vd|xvd).*"
    r"|/var/lib/kubelet/([^dp]|p([^lo]|$)|pods).*|(?i:/[a-z]:[\\/]*(windows|users|programdata|etc|var|k)?([\\/].*)?)"
    r"|(?i:.*[\\/]pipe[\\/](docker|containerd).*)",
    re.DOTALL,
)
"""Paths that lead to the whole node, like those of the rules in privilege-escalation/host-path.yml."""


def risk_of(spec: dict[str, Any]) -> Risk:
    """Read a whole pod spec. Paths that lead to the whole node come first: the order is the writer's."""
    containers = containers_of(spec)
    paths = (plain_path(path) for volume in elements(spec.get("volumes")) for path in _path(volume))
    leading = sorted(paths, key=lambda path: _NODE.fullmatch(path[:_READ]) is None)
    names = (name for one in containers for name in texts(dig(one, "securityContext", "capabilities", "add")))
    return Risk(
        privileged=any(map(_is_privileged, [spec, *containers])),
        host_namespaces=tuple(name for name in NAMESPACES if spec.get(name) is True),
        host_paths=few(leading),
        capabilities=few(name.upper().removeprefix("CAP_") for name in names),
    )


def containers_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Give all containers of a pod spec."""
    return [one for name in LISTS for one in elements(spec.get(name))]


def _is_privileged(holder: dict[str, Any]) -> bool:
    context = holder.get("securityContext")
    # A Windows HostProcess container is to its node what a privileged one is to a Linux node.
    return dig(context, "privileged") is True or dig(context, "windowsOptions", "hostProcess") is True


def _path(volume: dict[str, Any]) -> Iterable[str]:
    path = text(dig(volume, "hostPath", "path"))
    return (path,) if path else ()


def few(values: Iterable[str], most: int = MOST) -> tuple[str, ...]:
    """Give the first values, each once and cut to `WIDEST` bytes."""
    return tuple(dict.fromkeys(fit(value, WIDEST) for value in values))[:most]


def registries_of(spec: dict[str, Any]) -> tuple[str, ...]:
    """Give the registries that the images of a pod spec come from."""
    return few(registry_of(image) for one in containers_of(spec) if (image := text(one.get("image"))))


def account_of(spec: dict[str, Any]) -> str:
    """Give the service account that a whole pod spec runs as."""
    return text(spec.get("serviceAccountName")) or text(spec.get("serviceAccount")) or "default"


def both(one: Risk, other: Risk) -> Risk:
    """Give the risk of a pod that got more containers."""
    return Risk(
        privileged=one.privileged or other.privileged,
        host_namespaces=one.host_namespaces,
        host_paths=one.host_paths,
        capabilities=None if one.capabilities is None else few((*one.capabilities, *(other.capabilities or ()))),
    )


def clouded(risk: Risk) -> Risk:
    """Give what is left of a known risk once containers were added that nobody has seen."""
    return msgspec.structs.replace(risk, privileged=risk.privileged or None, capabilities=risk.capabilities or None)


def digest(template: Any) -> str:
    """Give a text that differs for different pod templates; none for what no API server would take."""
    try:
        written = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # too deep, or a number too large
        return ""
    return blake2b(written, digest_size=8).hexdigest()
