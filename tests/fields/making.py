"""Small events for the tests of derived fields."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.event import Event

PLACES = {
    "pods": ("", "v1"),
    "deployments": ("apps", "v1"),
    "cronjobs": ("batch", "v1"),
    "rollouts": ("argoproj.io", "v1alpha1"),
    "clusterroles": ("rbac.authorization.k8s.io", "v1"),
    "clusterrolebindings": ("rbac.authorization.k8s.io", "v1"),
}


def event(verb: str = "get", key: str | None = None, name: str | None = None, **attributes: Any) -> Event:
    """Make an event about ``resource/subresource``; other attributes as audit.k8s.io names them.

    ``request``, ``response``, ``code`` and ``username`` are short for the bodies, the answer's code and the user.
    """
    record: dict[str, Any] = {"verb": verb}
    if key is not None:
        resource, _, subresource = key.partition("/")
        group, version = PLACES.get(resource, ("", "v1"))
        ref = {"resource": resource, "subresource": subresource, "name": name, "apiGroup": group, "apiVersion": version}
        record["objectRef"] = {field: value for field, value in ref.items() if value}
    for short, full in (("request", "requestObject"), ("response", "responseObject")):
        if short in attributes:
            record[full] = attributes.pop(short)
    if "code" in attributes:
        record["responseStatus"] = {"code": attributes.pop("code"), **attributes.pop("responseStatus", {})}
    if "username" in attributes:
        record["user"] = {"username": attributes.pop("username"), **attributes.pop("user", {})}
    return msgspec.json.decode(msgspec.json.encode(record | attributes), type=Event)
