"""What Falco's fields are called here.

The meaning of Falco's is that of the k8saudit and json plugins (plugins/k8saudit/pkg/k8saudit/extract.go and
plugins/json/pkg/json/json.go of https://github.com/falcosecurity/plugins).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from detector.errors import RuleError
from detector.sigma.falco.tree import Field
from detector.sigma.path import ONE_KEY_AFTER, parse

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
EXISTS = frozenset({"exists"})
FIRST = "Falco looks at the first (or the one numbered), here all of them are looked at"
REPOSITORY = ("{}", "{}:*", "{}@*")
"""An image is of a repository when a tag, a digest or nothing follows."""


class Meaning(msgspec.Struct, frozen=True):
    """What a field of Falco is here.

    ``path`` marks lists with ``[]``. Of Falco's own value there may be ``one``, or a ``list`` (of which Falco asks
    whether all are ``in`` or any ``intersects``); ``first`` is one for Falco where here there may be several.
    """

    path: str
    kind: Literal["one", "list", "first"] = "one"
    words: bool = False
    """Kubernetes spells it one way only, so case needs no minding."""
    forms: tuple[str, ...] = ("{}",)
    """What a value may look like here, with Sigma's wildcards; ``{}`` is Falco's."""
    also: tuple[tuple[str, str], ...] = ()
    """What must hold beside it, of the same element."""
    only: frozenset[str] = frozenset()
    """The operators that mean something here; empty for all."""
    note: str = ""
    """How it differs from Falco's; told of every rule that uses it."""

    @property
    def anywhere(self) -> str:
        """The path through any element of its lists."""
        return self.path if self.also else self.path.replace("[]", "")


def _container(name: str) -> dict[str, Meaning]:
    """Give the fields of one of a pod's three lists of containers."""
    at, security = f"requestObject.spec.{name}[]", f"requestObject.spec.{name}[].securityContext"
    paths = {
        "name": f"{at}.name",
        "image": f"{at}.image",
        "command": f"{at}.command[]",
        "args": f"{at}.args[]",
        "privileged": f"{security}.privileged",
        "allow_privilege_escalation": f"{security}.allowPrivilegeEscalation",
        "read_only_fs": f"{security}.readOnlyRootFilesystem",
        "run_as_user": f"{security}.runAsUser",
        "run_as_group": f"{security}.runAsGroup",
        "proc_mount": f"{security}.procMount",
        "add_capabilities": f"{security}.capabilities.add[]",
    }
    found = {f"ka.req.pod.{name}.{each}": Meaning(path, "list") for each, path in paths.items()}
    found[f"ka.req.pod.{name}.image.repository"] = Meaning(f"{at}.image", "list", forms=REPOSITORY)
    found[f"ka.req.pod.{name}.host_port"] = Meaning(
        f"{at}.ports[].hostPort", "list", note="host_port: a containerPort without hostPort does not count here"
    )
    return found


def _subjects(kind: str) -> Meaning:
    at = "requestObject.subjects[]"
    return Meaning(f"{at}.name", "list", also=((f"{at}.kind", kind),))


_POD = "requestObject.spec"
FIELDS: dict[str, Meaning] = {
    "ka.auditid": Meaning("auditID"),
    "ka.stage": Meaning("stage", words=True),
    "ka.auth.decision": Meaning("annotations.authorization.k8s.io/decision", words=True),
    "ka.auth.reason": Meaning("annotations.authorization.k8s.io/reason"),
    "ka.auth.openshift.decision": Meaning("annotations.authentication.openshift.io/decision", words=True),
    "ka.auth.openshift.username": Meaning("annotations.authentication.openshift.io/username"),
    "ka.validations.admission.policy.failure": Meaning(
        "annotations.validation.policy.admission.k8s.io/validation_failure"
    ),
    "ka.security.pod.violations": Meaning("annotations.pod-security.kubernetes.io/audit-violations"),
    "ka.user.name": Meaning("user.username"),
    "ka.user.groups": Meaning("user.groups[]", "list"),
    "ka.impuser.name": Meaning("impersonatedUser.username"),
    "ka.verb": Meaning("verb", words=True),
    "ka.uri": Meaning("requestURI"),
    "ka.target.name": Meaning("objectRef.name"),
    "ka.target.namespace": Meaning("objectRef.namespace"),
    "ka.target.resource": Meaning("objectRef.resource", words=True),
    "ka.target.subresource": Meaning("objectRef.subresource", words=True),
    "ka.target.pod.name": Meaning("objectRef.name", also=(("objectRef.resource", "pods"),)),
    "ka.req.binding.subjects": Meaning("requestObject.subjects", only=EXISTS),
    "ka.req.binding.subjects.user_names": _subjects("User"),
    "ka.req.binding.subjects.group_names": _subjects("Group"),
    "ka.req.binding.subjects.serviceaccount_names": _subjects("ServiceAccount"),
    "ka.req.binding.role": Meaning("requestObject.roleRef.name"),
    "ka.req.configmap.name": Meaning("objectRef.name"),
    "ka.req.container.image": Meaning(f"{_POD}.containers[].image", "first", note=FIRST),
    "ka.req.container.image.repository": Meaning(f"{_POD}.containers[].image", "first", forms=REPOSITORY, note=FIRST),
    "ka.req.container.host_network": Meaning(f"{_POD}.hostNetwork"),
    "ka.req.pod.host_ipc": Meaning(f"{_POD}.hostIPC"),
    "ka.req.pod.host_network": Meaning(f"{_POD}.hostNetwork"),
    "ka.req.pod.host_pid": Meaning(f"{_POD}.hostPID"),
    "ka.req.pod.run_as_user": Meaning(f"{_POD}.securityContext.runAsUser"),
    "ka.req.pod.run_as_group": Meaning(f"{_POD}.securityContext.runAsGroup"),
    "ka.req.pod.fs_group": Meaning(f"{_POD}.securityContext.fsGroup"),
    "ka.req.pod.supplemental_groups": Meaning(f"{_POD}.securityContext.supplementalGroups[]", "list"),
    **{name: meaning for each in CONTAINERS for name, meaning in _container(each).items()},
    "ka.req.pod.volumes.hostpath": Meaning(f"{_POD}.volumes[].hostPath.path", "list"),
    "ka.req.pod.volumes.flexvolume_driver": Meaning(f"{_POD}.volumes[].flexVolume.driver", "list"),
    "ka.req.role.rules": Meaning("requestObject.rules", only=EXISTS),
    **{
        f"ka.req.role.rules.{each}": Meaning(f"requestObject.rules[].{each}[]", "list")
        for each in ("apiGroups", "nonResourceURLs", "verbs", "resources")
    },
    "ka.req.service.type": Meaning(f"{_POD}.type"),
    "ka.req.service.ports": Meaning(f"{_POD}.ports", only=EXISTS),
    "ka.resp.name": Meaning("responseObject.metadata.name"),
    "ka.response.code": Meaning("responseStatus.code", words=True),
    "ka.response.reason": Meaning("responseStatus.reason"),
    "ka.useragent": Meaning("userAgent"),
    "ka.sourceips": Meaning(
        "source.ip", note="ka.sourceips is source.ip here: the peer alone, as the client can choose the others"
    ),
}
"""Fields without an argument."""
REFUSED = {
    "ka.req.binding.subject.has_name": "is always true in Falco: ask ka.req.binding.subjects.user_names",
    "ka.req.binding.subjects.serviceaccount_ns_names": "is written NAMESPACE:NAME: ask rbac.subjects.user here",
    "ka.req.configmap.obj": "would show in alerts what it holds: ask configmap.credentials here",
    "ka.req.container.privileged": "is deprecated: ask ka.req.pod.containers.privileged",
    "ka.req.volume.hostpath": "is deprecated: ask ka.req.pod.volumes.hostpath",
    "ka.req.pod.volumes.volume_type": "names keys of a volume: ask here whether volumes.hostPath (or another) exists",
    "ka.cluster.name": "is no field of an event here: each cluster is kept apart, and alerts name it",
    "jevt.obj": "is the whole event",
    "json.obj": "is the whole event",
}
"""Fields of Falco without an equivalent, and what to do instead."""
EFFECTIVE = "combines a container's and the pod's securityContext: ask run_as_user or run_as_group of both"
_WORDS = {one.path for one in FIELDS.values() if one.words}
PARAMETER, VALUES = "ka.uri.param", ("jevt.value", "json.value")


def meaning(field: Field) -> Meaning:
    """Give what a field is here. Raises RuleError, with the reason, where there is no such thing."""
    if field.name in VALUES:
        return _pointed(field)
    if field.name == PARAMETER:
        return Meaning(_checked(f"uri.query.{_key(field, field.argument or '')}"), "first")
    found = FIELDS.get(field.name)
    if found is None:
        raise RuleError(_unknown(field))
    if field.argument is None:
        return found
    if "[]" not in found.path or not field.argument.isdecimal():
        raise RuleError(f"{field}: this field has no such argument")
    return msgspec.structs.replace(found, kind="first", note=f"{field}: {FIRST}")


def _unknown(field: Field) -> str:
    if ".eff_run_as_" in field.name:
        return f"{field.name} {EFFECTIVE}"
    reason = REFUSED.get(field.name)
    return f"{field.name} {reason}" if reason else f"{field.name} is no field of Kubernetes audit events"


def _pointed(field: Field) -> Meaning:
    """Turn a JSON Pointer (RFC 6901) into a path: ``/objectRef/name`` is ``objectRef.name``."""
    parts: list[str] = []
    indexed = False
    for part in (field.argument or "").removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if parts and part.isdecimal() and parts[-1] not in ONE_KEY_AFTER:
            parts[-1] += "[]"
            indexed = True
        else:
            parts.append(_key(field, key, parts))
    path = _checked(".".join(parts))
    if indexed:
        return Meaning(path, "first", note=f"{field}: {FIRST}")
    return Meaning(path, words=path in _WORDS)


def _key(field: Field, key: str, before: Sequence[str] = ()) -> str:
    """Check a key of a path: behind annotations and labels one with dots can stand, and nothing after it."""
    whole = bool(before) and before[-1] in ONE_KEY_AFTER
    if not key or "[]" in key or (not whole and "." in key) or not ONE_KEY_AFTER.isdisjoint(before[:-1]):
        raise RuleError(f"{field}: the key {key!r} cannot be part of a path here")
    return key


def _checked(path: str) -> str:
    try:
        parse(path)
    except ValueError as error:
        raise RuleError(str(error)) from None
    if "|" in path:
        raise RuleError(f"{path}: a bar cannot be part of a path here")
    return path


def table() -> Iterator[tuple[str, str, str]]:
    """Give Falco's name, the path here (or a dash) and a remark, for every field."""
    for name, one in FIELDS.items():
        remark = one.note or {"list": "all `in`, any `intersects`"}.get(one.kind, "")
        if one.only:
            remark = f"only {', '.join(sorted(one.only))}"
        if one.forms == REPOSITORY:
            remark = "the image up to its tag or digest"
        beside = "".join(f", `{path}: {value}`" for path, value in one.also)
        yield f"`{name}`", f"`{one.path}`{beside}", remark
    yield f"`{PARAMETER}[KEY]`", "`uri.query.KEY`", FIRST
    yield "`jevt.value[/A/B/0/C]`, `json.value[…]`", "`A.B[].C`", f"with a number: {FIRST}"
    for name in ("eff_run_as_user", "eff_run_as_group"):
        yield f"`ka.req.pod.containers.{name}`", "–", EFFECTIVE
    for name, reason in REFUSED.items():
        yield f"`{name}`", "–", reason
