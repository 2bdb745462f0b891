"""Falco's own meaning of a condition, worked out on a raw event: what the converted rules are compared with.

Written from the sources of libsinsp (sinsp_filtercheck.cpp) and of the k8saudit and json plugins, without a look at the
converter. A field that cannot be extracted makes every check false; texts are compared byte by byte; of a list, ``in``
asks all and ``intersects`` any.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from detector.sigma.falco.tree import And, Check, Const, Expression, Field, Named, Not, Or

KEYS = {
    "ka.auditid": "auditID",
    "ka.stage": "stage",
    "ka.auth.decision": "annotations authorization.k8s.io/decision",
    "ka.auth.reason": "annotations authorization.k8s.io/reason",
    "ka.user.name": "user username",
    "ka.impuser.name": "impersonatedUser username",
    "ka.verb": "verb",
    "ka.uri": "requestURI",
    "ka.target.name": "objectRef name",
    "ka.target.namespace": "objectRef namespace",
    "ka.target.resource": "objectRef resource",
    "ka.target.subresource": "objectRef subresource",
    "ka.req.binding.role": "requestObject roleRef name",
    "ka.req.pod.host_ipc": "requestObject spec hostIPC",
    "ka.req.pod.host_network": "requestObject spec hostNetwork",
    "ka.req.pod.host_pid": "requestObject spec hostPID",
    "ka.req.service.type": "requestObject spec type",
    "ka.resp.name": "responseObject metadata name",
    "ka.response.code": "responseStatus code",
    "ka.response.reason": "responseStatus reason",
    "ka.useragent": "userAgent",
}
LISTS = {
    "ka.user.groups": "user groups",
    "ka.req.pod.volumes.hostpath": "requestObject spec volumes hostPath path",
    **{
        f"ka.req.pod.{name}.{field}": f"requestObject spec {name} {path}"
        for name in ("containers", "initContainers", "ephemeralContainers")
        for field, path in {"image": "image", "privileged": "securityContext privileged"}.items()
    },
    **{
        f"ka.req.role.rules.{name}": f"requestObject rules {name}"
        for name in ("apiGroups", "nonResourceURLs", "verbs", "resources")
    },
}


def holds(node: Expression, event: dict[str, Any]) -> bool:
    """Tell whether a condition without names of macros and lists holds of an event."""
    match node:
        case And(parts):
            return all(holds(part, event) for part in parts)
        case Or(parts):
            return any(holds(part, event) for part in parts)
        case Not(part):
            return not holds(part, event)
        case Named(_, part):
            return holds(part, event)
        case Const(value):
            return value
        case Check():
            return _check(node, event)
    raise AssertionError(node)


def _check(check: Check, event: dict[str, Any]) -> bool:
    is_list, values = _extracted(check.field, event)
    if not values:
        return False
    wanted = [word.text for word in check.values]
    if check.operator == "exists":
        return True
    if is_list:
        return {"in": all, "intersects": any}[check.operator](value in wanted for value in values)
    if check.operator in {"in", "intersects"}:
        return values[0] in wanted
    return _single(check.operator, values[0], wanted)


def _single(operator: str, value: str, wanted: list[str]) -> bool:
    (other, *_) = wanted
    asked: dict[str, Callable[[], bool]] = {
        "=": lambda: value == other,
        "contains": lambda: other in value,
        "icontains": lambda: other.lower() in value.lower(),
        "startswith": lambda: value.startswith(other),
        "endswith": lambda: value.endswith(other),
        "glob": lambda: fnmatch.fnmatchcase(value, other),
        "iglob": lambda: fnmatch.fnmatchcase(value.lower(), other.lower()),
        "regex": lambda: re.fullmatch(other, value) is not None,
        "pmatch": lambda: any(f"{value}/".startswith(f"{each.rstrip('/')}/") for each in wanted),
        "<": lambda: value < other,
        ">=": lambda: value >= other,
    }
    return asked[operator]()


def _extracted(field: Field, event: dict[str, Any]) -> tuple[bool, list[str]]:
    """Give whether Falco calls a field a list, and its values as texts; none where there is nothing."""
    if field.name == "jevt.value":
        value: Any = event
        for key in (field.argument or "").removeprefix("/").split("/"):
            value = _step(value, key.replace("~1", "/").replace("~0", "~"))
        return False, _texts([value])
    if field.name == "ka.uri.param":
        query = parse_qs(urlsplit(event.get("requestURI", "")).query, keep_blank_values=True)
        return False, query.get(field.argument or "", [])[:1]
    if field.name.endswith(".image.repository"):
        _, images = _extracted(Field(field.name.removesuffix(".repository"), field.argument), event)
        return True, [image.split(":")[0].split("@")[0] for image in images]
    if field.name in LISTS:
        at = None if field.argument is None else int(field.argument)
        found = _walk(event, LISTS[field.name].split(), at)
        return True, _texts([item for each in found for item in (each if isinstance(each, list) else [each])])
    value = event
    for key in KEYS[field.name].split():
        value = _step(value, key)
    return False, _texts([value])


def _step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return value[int(key)] if key.isdecimal() and int(key) < len(value) else None
    return value.get(key) if isinstance(value, dict) else None


def _walk(value: Any, keys: list[str], at: int | None) -> list[Any]:
    if isinstance(value, list) and keys:
        chosen = value if at is None else value[at : at + 1]
        return [found for item in chosen for found in _walk(item, keys, at)]
    if not keys:
        return [value]
    following = _step(value, keys[0])
    return [] if following is None else _walk(following, keys[1:], at)


def _texts(values: list[Any]) -> list[str]:
    return [value if isinstance(value, str) else orjson.dumps(value).decode() for value in values if value is not None]
