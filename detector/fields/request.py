"""What a request does to what, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from detector.event import SECOND, Event, ObjectRef, micros, read_body
from detector.fields.body import MAX_OPERATIONS, dig, is_index, leaves, mapping, partial_object, pointer, text, texts
from detector.fields.registry import derived
from detector.fields.uri import is_oversized, parameters, selector_name, uri_path

STATING = frozenset({"create", "update", "patch"})
"""The verbs whose body states an object."""
WRITING = STATING | {"delete", "deletecollection"}
_CONNECTING = ("exec", "attach", "portforward", "proxy")
_ANSWERED = ("tokenreviews", "subjectaccessreviews", "localsubjectaccessreviews")
"""What is asked by a create and never stored, beside what begins with `_OWN`."""
_OWN = "selfsubject"
MOST_PATHS = 200
DECISION, FORBID = "authorization.k8s.io/decision", "forbid"
TRUNCATED = "audit.k8s.io/truncated"
"""The annotation of an event whose bodies the API server dropped."""
_FIRST_CODE, _FIRST_ERROR, _REFUSALS = 100, 400, (401, 403)


@derived("outcome", "text")
def outcome(event: Event) -> str | None:
    """What came of the request: allowed (answer below 400), denied (401, 403, or the authorizer said forbid) or failed.

    Failed is any other 4xx or 5xx: not found, conflict, invalid. Null when there is no answer yet.
    """
    code = event.responseStatus.code if event.responseStatus else None
    if code in _REFUSALS or (event.annotations and event.annotations.get(DECISION) == FORBID):
        return "denied"
    if code is None or code < _FIRST_CODE:
        return None
    return "allowed" if code < _FIRST_ERROR else "failed"


@derived("write", "boolean")
def write(event: Event) -> bool | None:
    """Whether the verb changes things: create, update, patch, delete, deletecollection; null without a verb.

    The verb alone is asked: an exec is a get or a create, depending on the client.
    """
    return event.verb in WRITING if event.verb else None


@derived("dry_run", "boolean")
def dry_run(event: Event) -> bool | None:
    """Whether a write only asks what would happen (dryRun=All, in the query or a delete's options).

    Null for reads, and for what takes no notice of dryRun: serviceaccounts/token, whose token is real all the same;
    exec, attach, portforward and proxy; and reviews (of a token, of access), which store nothing anyway.
    """
    if not write(event) or _takes_no_notice(event.objectRef):
        return None
    options = event.request if event.verb not in STATING else None
    return "All" in parameters(event, "dryRun") or "All" in texts(dig(options, "dryRun"))


def _takes_no_notice(ref: ObjectRef | None) -> bool:
    """Tell whether a request does the same with dryRun as without."""
    if ref is None:
        return False
    if ref.subresource:
        return ref.subresource in _CONNECTING or (ref.resource, ref.subresource) == ("serviceaccounts", "token")
    return ref.resource in _ANSWERED or (ref.resource or "").startswith(_OWN)


@derived("request.duration", "number")
def request_duration(event: Event) -> float | None:
    """How long the request had taken at this stage, in seconds, from requestReceivedTimestamp to stageTimestamp.

    At ResponseComplete of an exec, attach or portforward: how long the session stood. Null when a time is unknown, or
    when they are the wrong way round.
    """
    received, reached = micros(event.requestReceivedTimestamp), micros(event.stageTimestamp)
    return None if received is None or reached is None or reached < received else (reached - received) / SECOND


@derived("key", "text")
def key(event: Event) -> str | None:
    """The kind of thing asked for: resource or resource/subresource, as in RBAC rules; null for other addresses."""
    ref = event.objectRef
    if ref is None or not ref.resource:
        return None
    return f"{ref.resource}/{ref.subresource}" if ref.subresource else ref.resource


@derived("target", "text")
def target(event: Event) -> str | None:
    """What is touched, for people: namespace/resource/name/subresource as far as there are any, or the path.

    Null when the record has neither a reference nor an address.
    """
    ref = event.objectRef
    if ref is None or not ref.resource:
        path: str | None = uri_path(event)
        return path
    namespace = ref.namespace if ref.resource != "namespaces" else None
    return "/".join(filter(None, (namespace, ref.resource, object_name(event), ref.subresource)))


@derived("object", "object")
def stated(event: Event) -> dict[str, Any] | None:
    """The object that a create, update or patch states, with Kubernetes' own keys, whatever kind of request it is.

    The request's body; for a merge, strategic or apply patch the part that it names; for a JSON patch the part that its
    operations add or replace (removed: null). The answer's object when the request's body is missing or unreadable, or
    when the patch copies or moves. Null when neither is there (the audit policy's level decides) and for other verbs.
    """
    if event.verb not in STATING:
        return None
    if event.verb == "patch" and isinstance(event.request, list):
        return _patched(event)
    return event.request if isinstance(event.request, dict) else answered(event)


def _patched(event: Event) -> dict[str, Any] | None:
    if any(isinstance(step, dict) and step.get("op") in ("copy", "move") for step in event.request):
        answer = answered(event)
        if answer is not None:
            return answer
    # Read again, because building changes the values it is given, and event.request belongs to everybody.
    return partial_object(read_body(event.requestObject))


def answered(event: Event) -> dict[str, Any] | None:
    """Give the object in the answer; None when there is none or the answer is a Status."""
    body = event.response
    return body if isinstance(body, dict) and body.get("kind") != "Status" else None


@derived("object.name", "text")
def object_name(event: Event) -> str | None:
    """The name of the object: from the address, from a field selector, or for a create from the bodies.

    The name made from generateName is only in the answer. Null when a request is about no single object, or about a
    new one whose name the record does not tell.
    """
    ref = event.objectRef
    if ref is not None and ref.name:
        return ref.name
    if event.verb == "create":
        return text(dig(event.request, "metadata", "name")) or text(dig(answered(event), "metadata", "name"))
    name: str | None = selector_name(event)
    return name


@derived("object.uid", "text")
def object_uid(event: Event) -> str | None:
    """The object's uid, from the reference, the answer or the request; null when the record does not tell."""
    ref = event.objectRef
    if ref is not None and ref.uid:
        return ref.uid
    places = (event.response, "metadata"), (event.response, "details"), (event.request, "metadata")
    return next((uid for body, part in places if (uid := text(dig(body, part, "uid")))), None)


@derived("object.labels", "object of text")
def object_labels(event: Event) -> dict[str, Any] | None:
    """The labels that a write states (metadata.labels of object); a label that a patch removes is null.

    Null when it states none.
    """
    return mapping(dig(stated(event), "metadata", "labels")) or None


@derived("object.annotations", "object of text")
def object_annotations(event: Event) -> dict[str, Any] | None:
    """The annotations that a write states (metadata.annotations of object); one that a patch removes is null.

    Null when it states none.
    """
    return mapping(dig(stated(event), "metadata", "annotations")) or None


@derived("patch.paths", "list of text")
def patch_paths(event: Event) -> list[str] | None:
    """What a patch touches, as dotted paths without list indexes, the same for every kind of patch; the first 200.

    spec.template.spec.containers.image, metadata.labels.app. Null when the request is not a patch with a readable body.
    """
    if event.verb != "patch":
        return None
    body = event.request
    if isinstance(body, list):
        paths: Iterator[str] = (path for step in islice(body, MAX_OPERATIONS) for path in _touched(step))
    elif isinstance(body, dict):
        paths = leaves(body)
    else:
        return None
    return list(dict.fromkeys(islice(paths, 10 * MOST_PATHS)))[:MOST_PATHS]


def _touched(step: Any) -> Iterator[str]:
    for end in ("path", "from"):
        path = mapping(step).get(end)
        if isinstance(path, str):
            segments = tuple(segment for segment in pointer(path) if not is_index(segment))
            yield from leaves(step.get("value") if end == "path" else None, segments)


@derived("truncated", "boolean")
def truncated(event: Event) -> bool:
    """Whether something is missing from the record: marked audit.k8s.io/truncated, or a body replaced by a text.

    Also when the address is too long to be looked at in full. Padding a request is a way to hide what it does.
    """
    if event.annotations and event.annotations.get(TRUNCATED) == "true":
        return True
    return isinstance(event.request, str) or _is_text(event.responseObject) or is_oversized(event)


def _is_text(raw: Any) -> bool:
    return memoryview(raw)[:1].tobytes() == b'"'
