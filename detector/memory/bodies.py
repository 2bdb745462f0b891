"""Objects as requests left them, read from the bodies of events: only the parts that memory looks at."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.event import Event, ObjectRef, micros
from detector.fields import memory_pods
from detector.fields.body import dig, elements, text
from detector.fields.request import answered

KINDS = {
    "pods": "Pod",
    **memory_pods.KINDS,
    "roles": "Role",
    "clusterroles": "ClusterRole",
    "rolebindings": "RoleBinding",
    "clusterrolebindings": "ClusterRoleBinding",
    "namespaces": "Namespace",
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "customresourcedefinitions": "CustomResourceDefinition",
    "certificatesigningrequests": "CertificateSigningRequest",
}
"""The kind in the body of a write to a resource."""
_AFTER = "memory after"
_UNSET = object()


class _Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    name: Any = None
    namespace: Any = None
    labels: Any = None
    ownerReferences: Any = None  # noqa: N815 -- the API's name
    creationTimestamp: Any = None  # noqa: N815
    deletionTimestamp: Any = None  # noqa: N815
    finalizers: Any = None


class _Object(msgspec.Struct, omit_defaults=True, gc=False):
    """An object without its status and managed fields, which are most of it."""

    kind: Any = None
    metadata: _Metadata | None = None
    spec: Any = None
    rules: Any = None
    aggregationRule: Any = None  # noqa: N815
    subjects: Any = None
    roleRef: Any = None  # noqa: N815
    webhooks: Any = None


_decode = msgspec.json.Decoder(_Object).decode


def after(event: Event) -> dict[str, Any] | None:
    """Give the whole object as a successful create, update or patch left it; None where the record lacks it.

    Of its parts only those that memory looks at need be there. The answer is believed only when it is of the object's
    own kind: a client may have asked for its metadata alone. Of a create or update the request is the next best.
    """
    body = event.__dict__.get(_AFTER, _UNSET)
    if body is _UNSET:
        body = event.__dict__[_AFTER] = _after(event)
    found: dict[str, Any] | None = body
    return found


def _after(event: Event) -> dict[str, Any] | None:
    kind = KINDS.get((event.objectRef and event.objectRef.resource) or "")
    answer = _answer(event)
    if answer is not None and answer.get("kind") == kind:
        return answer
    stated = event.request if event.verb in ("create", "update") else None
    return stated if isinstance(stated, dict) and stated.get("kind") in (None, kind) else None


def _answer(event: Event) -> dict[str, Any] | None:
    """Give the object in the answer; quicker than the whole answer, where nobody has asked for that yet."""
    data = memoryview(event.responseObject)
    if "response" in event.__dict__ or not data:
        return answered(event)
    try:
        answer: dict[str, Any] = msgspec.to_builtins(_decode(data))
    except msgspec.DecodeError:
        return answered(event)
    return answer


def answer_kind(event: Event) -> Any:
    """Give the kind of the answer; None when there is none."""
    answer = _answer(event)
    return answer.get("kind") if answer is not None else dig(event.response, "kind")


def is_gone(event: Event) -> bool:
    """Tell whether the answer of a write says that the object is gone at once, as those without a grace period are.

    An object that a finalizer keeps is still there, with all its effects, until a write takes the last finalizer away.
    """
    if event.verb == "delete" and answer_kind(event) == "Status":
        return True
    metadata = dig(_answer(event), "metadata")
    return bool(dig(metadata, "deletionTimestamp")) and not dig(metadata, "finalizers")


def name_of(event: Event, ref: ObjectRef) -> str | None:
    """Give the name of the object that a write is about; what is created may get it with the answer."""
    return ref.name or (text(dig(after(event), "metadata", "name")) if event.verb == "create" else None)


def created_at(body: dict[str, Any] | None, now: int) -> int | None:
    """Give when an object was created by the API server's own word; no later than now."""
    time = micros(text(dig(body, "metadata", "creationTimestamp")))
    return None if time is None else min(time, now)


def controller_of(body: dict[str, Any] | None) -> tuple[str, str] | None:
    """Give kind and name of the controller that an object belongs to; None when it has none."""
    for owner in elements(dig(body, "metadata", "ownerReferences")):
        kind, name = text(owner.get("kind")), text(owner.get("name"))
        if owner.get("controller") is True and kind and name:
            return kind, name
    return None
