"""What the request's address says: path, query, selectors, the command of an exec, the path behind a proxy."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

from detector.event import Event
from detector.fields.registry import derived

MAX_URI = 65_536
MAX_PARAMETERS = 1_000
_TERM = re.compile(r"(?:[^\\,]|\\.)+", re.DOTALL)
_SIGN = re.compile(r"!=|==?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# Where the proxied path starts in /api/v1/nodes/NAME/proxy/... and /api/v1/namespaces/NS/pods/NAME/proxy/...
_PROXIED = {"nodes": 5, "pods": 7, "services": 7}


def is_oversized(event: Event) -> bool:
    """Say whether the address is longer than what the fields here look at."""
    uri = event.requestURI
    return uri is not None and (len(uri) > MAX_URI or uri.count("&") >= MAX_PARAMETERS)


def _subresource(event: Event, resource: str) -> str | None:
    ref = event.objectRef
    return ref.subresource if ref is not None and ref.resource == resource else None


@derived("uri.path", "text")
def uri_path(event: Event) -> str | None:
    """The path of the request, percent-decoded once, without the query; null when the record has no address.

    Looks at the first 65,536 characters.
    """
    uri = event.requestURI
    return unquote(uri[:MAX_URI].partition("?")[0]) if uri else None


@derived("uri.query", "object of lists")
def uri_query(event: Event) -> dict[str, list[str]] | None:
    """The query's parameters, decoded: name to list of values in order; null when there is no query.

    Looks at the first 65,536 characters and 1,000 parameters; beyond that the field truncated is true.
    """
    query = (event.requestURI or "")[:MAX_URI].partition("?")[2]
    if not query:
        return None
    values: dict[str, list[str]] = {}
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition("=")
        if pair:
            values.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return values


def parameters(event: Event, name: str) -> list[str]:
    """Give the values of a query parameter; none when it is absent."""
    uri = event.requestURI or ""
    if name not in uri and "%" not in uri:
        return []
    query: dict[str, list[str]] = uri_query(event) or {}
    return query.get(name, [])


def _first(event: Event, *names: str) -> str | None:
    return next((values[0] for name in names if (values := parameters(event, name))), None)


def _switch(event: Event, *names: str) -> bool:
    """Read a boolean parameter as the API server does: everything but 0 and false is true."""
    value = _first(event, *names)
    return value is not None and value.lower() not in ("0", "false")


def _terms(event: Event) -> list[tuple[str, str, str]]:
    """Read the field selector as (field, sign, value); the sign is = or !=."""
    found = []
    # Of several selectors the API server takes the first.
    for term in _TERM.findall(_first(event, "fieldSelector") or ""):
        sign = _SIGN.search(term)
        if sign:
            value = _ESCAPED.sub(r"\1", term[sign.end() :])
            found.append((term[: sign.start()], sign[0].replace("==", "="), value))
    return found


@derived("selector.fields", "list of text")
def selector_fields(event: Event) -> list[str] | None:
    """The terms of the field selector, decoded: metadata.name=x, status.phase!=Failed; null when there is none."""
    return ["".join(term) for term in _terms(event)] or None


@derived("selector.name", "text")
def selector_name(event: Event) -> str | None:
    """The one name a list, watch or deletecollection asks for with fieldSelector=metadata.name=NAME; null otherwise.

    Reading a Secret this way needs no permission to get it.
    """
    return next((value for field, sign, value in _terms(event) if field == "metadata.name" and sign == "="), None)


@derived("selector.labels", "text")
def selector_labels(event: Event) -> str | None:
    """The label selector, decoded, as the client wrote it; null when there is none."""
    return _first(event, "labelSelector")


@derived("list.oneoff", "boolean")
def list_oneoff(event: Event) -> bool | None:
    """Whether a list or watch fetches what there is once, and not as an informer keeps its view; null for other verbs.

    Informers list with resourceVersion=0 and a limit, or from a version they know, then watch from a version, or let
    the watch send the list (sendInitialEvents). One-off is the rest: no version or an empty one, a list from 0 without
    a limit, a watch from 0. The client chooses all this: false is no proof of an informer.
    """
    if event.verb not in ("list", "watch"):
        return None
    version = _first(event, "resourceVersion") or ""
    if event.verb == "watch":
        return version in ("", "0") and not _switch(event, "sendInitialEvents")
    return not version or (version == "0" and _first(event, "limit") in (None, "", "0"))


@derived("proxy.path", "text")
def proxy_path(event: Event) -> str | None:
    """The path asked for behind the API server's proxy to a node, pod or service, decoded, with a leading slash.

    /run/kube-system/etcd/etcd is a command run through the kubelet. Null when the request is not a proxy request.
    """
    ref = event.objectRef
    start = _PROXIED.get(ref.resource or "") if ref is not None and ref.subresource == "proxy" else None
    if start is None:
        return None
    path: str = uri_path(event) or ""
    segments = path.lstrip("/").split("/", start)
    return "/" + segments[start] if len(segments) > start else "/"


def _kubelet_call(event: Event) -> tuple[str, str | None]:
    """Give the kubelet's endpoint and the container addressed by /exec, /run or /attach behind a node proxy."""
    if _subresource(event, "nodes") != "proxy":
        return "", None
    path: str = proxy_path(event)
    segments = path.strip("/").split("/")
    return segments[0], segments[-1] if len(segments) > 3 else None  # noqa: PLR2004 (endpoint/namespace/pod/container)


@derived("exec.argv", "list of text")
def exec_argv(event: Event) -> list[str] | None:
    """The command that an exec runs, argument by argument, from the address of the request.

    For pods/exec, and for a node's kubelet reached through nodes/proxy (/exec and /run). Null for anything else,
    attach included: it joins what runs already.
    """
    endpoint, _ = _kubelet_call(event)
    if _subresource(event, "pods") == "exec" or endpoint == "exec":
        return parameters(event, "command") or None
    run = _first(event, "cmd") if endpoint == "run" else None
    return run.split(" ") if run else None


@derived("exec.command", "text")
def exec_command(event: Event) -> str | None:
    """The command that an exec runs, its arguments joined by one space; null like exec.argv."""
    argv: list[str] | None = exec_argv(event)
    return " ".join(argv) if argv else None


@derived("exec.head", "text")
def exec_head(event: Event) -> str | None:
    """The program that an exec runs, without its directory: sh for /bin/sh; null like exec.argv."""
    argv: list[str] | None = exec_argv(event)
    return re.split(r"[/\\]", argv[0].rstrip("/\\"))[-1] or None if argv else None


def _session(event: Event) -> bool:
    return _subresource(event, "pods") in ("exec", "attach") or _kubelet_call(event)[0] in ("exec", "attach", "run")


@derived("exec.container", "text")
def exec_container(event: Event) -> str | None:
    """The container that an exec or attach names; null when it names none (the pod's default) or it is neither."""
    if not _session(event):
        return None
    return _first(event, "container") or _kubelet_call(event)[1]


@derived("exec.stdin", "boolean")
def exec_stdin(event: Event) -> bool | None:
    """Whether an exec or attach sends input (kubectl exec -i); null for anything else."""
    return _switch(event, "stdin", "input") if _session(event) else None


@derived("exec.tty", "boolean")
def exec_tty(event: Event) -> bool | None:
    """Whether an exec or attach has a terminal, as a person would (kubectl exec -t); null for anything else."""
    return _switch(event, "tty") if _session(event) else None
