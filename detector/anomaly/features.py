"""Event → features: who does what, where, from where, with what content; all texts or tuples of texts.

The names of features are what a person reads in the reasons. Lists are tuples in order of value, without doubles and
at most `MOST` long; texts are at most `LONGEST` characters, because all of them are the client's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from detector.anomaly.content import CONTENTS, asked_of
from detector.event import Event
from detector.fields.actor import CONTROLLERS, kind_of
from detector.fields.request import outcome

Features = dict[str, Any]

LONGEST = 128
MOST = 16
_SERVER_ERROR, _CLIENT_ERROR, _CONFLICT = 500, 400, 409
_CREDENTIAL = "authentication.kubernetes.io/credential-id"
_SYSTEM = "system:"
# What generated names end in: the API server's suffix of five (consonants and digits), hashes of templates, numbers.
_GENERATED = re.compile(
    r"(?:[-.](?:[bcdfghjklmnpqrstvwxz2456789]{5}|[bcdfghjklmnpqrstvwxz2456789]{8,10}|[0-9a-f]{6,}|\d+))+$"
)
_UNTOLD = frozenset({"timeout", "timeoutSeconds", "command", "container", "limit", "continue", "resourceVersionMatch"})
_OCTETS, _SLASHES = 4, 2
_HASH = re.compile(r"[0-9a-f]{7,40}")


def features(event: Event, time: int) -> Features:
    """Give the features of an event; ``time`` is what it counts at, in microseconds since 1970."""
    user, ref = event.user, event.objectRef
    name = user.username if user is not None else None
    found: Features = {"time": time, "actor": _cut(name or "(nobody)")}
    found["peers"], found["kind"] = _peers(name, tuple(user.groups) if user is not None and user.groups else ())
    if ref is not None and ref.resource:
        found["action"] = _action(event.verb, ref.resource, ref.subresource, ref.apiGroup)
        found["namespace"] = _cut(ref.namespace) if ref.resource != "namespaces" else ""
        found["object"] = stem(ref.name[:LONGEST]) if ref.name else ""
    else:
        found["action"], found["namespace"] = f"{event.verb} {_path(event.requestURI)}"[:LONGEST], ""
        found["object"] = ""
    if event.impersonatedUser is not None:
        found["action"] += f" as {_cut(event.impersonatedUser.username)}"
    found["form"] = _form((event.requestURI or "").partition("?")[2][:1024])
    _answer(event, found)
    _origin(event, found)
    if ref is not None and ref.resource and found["kind"] != "controller":
        for content in asked_of(event.verb, ref.resource, ref.subresource, ref.apiGroup):
            values = _few(CONTENTS[content](event))
            if values:
                found[content] = values
    return found


def _cut(text: str | None) -> str:
    return text[:LONGEST] if text else ""


def _few(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value[:LONGEST] for value in values})[:MOST])


@lru_cache(maxsize=8192)
def _peers(name: str | None, groups: tuple[str, ...]) -> tuple[str, str]:
    kind = kind_of(name) or "nobody"
    if kind == "controlplane" or name in CONTROLLERS:
        return "controllers", "controller"
    if kind == "serviceaccount":
        return f"service accounts of {(name or '').split(':')[2]}"[:LONGEST], kind
    if kind == "human" and not (name or "").startswith(_SYSTEM):
        own = min((group for group in groups if not group.startswith(_SYSTEM)), default="")
        return f"users of {own}"[:LONGEST] if own else "users", kind
    return kind, kind


@lru_cache(maxsize=4096)
def _action(verb: str | None, resource: str, subresource: str | None, group: str | None) -> str:
    what = f"{resource}/{subresource}" if subresource else resource
    return f"{verb} {what}.{group}"[:LONGEST] if group else f"{verb} {what}"[:LONGEST]


@lru_cache(maxsize=8192)
def stem(name: str) -> str:
    """Give a name without what was generated: web-5d4f8c7b9-x2x9z is web."""
    return _GENERATED.sub("", name) or name


@lru_cache(maxsize=4096)
def _path_of(path: str) -> str:
    return "/".join(path.split("/")[:4])


def _path(uri: str | None) -> str:
    return _path_of((uri or "").partition("?")[0][:LONGEST])


@lru_cache(maxsize=4096)
def _form(query: str) -> str:
    """Give how something was asked for: the query's parameters without most values, the fields it selects by."""
    parts = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in ("fieldSelector", "watch", "follow", "dryRun", "stdin", "tty", "propagationPolicy"):
            parts.append(f"{name}={_fields(value)}" if name == "fieldSelector" else pair)
        elif name == "resourceVersion":
            parts.append("resourceVersion=0" if value == "0" else name)
        elif name not in _UNTOLD:
            parts.append(name)
    return "&".join(sorted(set(parts)))[:LONGEST]


def _fields(selector: str) -> str:
    return ",".join(re.split(r"!?=|%21|%3D", term)[0] for term in re.split(r",|%2C", selector))


def _answer(event: Event, found: Features) -> None:
    """Put down what is not the usual yes. What was refused is another action: doing it would be news still."""
    word: str | None = outcome(event)
    found["outcome"], found["refused"] = "", word == "denied"
    if word == "denied":
        found["action"] += " (refused)"
    elif word == "failed" and event.responseStatus is not None:
        found["outcome"] = str(event.responseStatus.code)


@lru_cache(maxsize=4096)
def agent_of(agent: str) -> str:
    """Give a client without versions: an upgrade is no new client. Product, system, and a component's suffix."""
    first, _, rest = agent.partition(" ")
    product = first.split("/", 1)[0][:48]
    system = rest[: rest.find(")") + 1][:32] if rest.startswith("(") else ""
    tail = agent.rsplit("/", 1)[-1] if agent.count("/") > _SLASHES else ""
    if not tail or tail[0].isdigit() or tail[0] == "v" or tail.endswith(")") or _HASH.fullmatch(tail.split(" ")[0]):
        tail = ""
    return f"{product}{system}/{tail[:48]}" if tail else product + system


@lru_cache(maxsize=8192)
def network_of(address: str) -> str:
    """Give the /16 of an IPv4 address, the /48 of an IPv6 one: pods, offices and VPNs move within such."""
    parts = address.split(".")
    return ".".join(parts[:2]) if len(parts) == _OCTETS else ":".join(address.split(":")[:3])


def _origin(event: Event, found: Features) -> None:
    addresses, user = event.sourceIPs, event.user
    peer = addresses[-1][:64] if addresses else ""
    found["address"], found["network"] = peer, network_of(peer)
    found["claimed"] = network_of(addresses[0][:64]) if addresses and len(addresses) > 1 else ""
    extra = user.extra if user is not None else None
    credential = extra.get(_CREDENTIAL) if extra else None
    found["credential"] = credential[0][:LONGEST] if credential else ""
    found["agent"] = agent_of(event.userAgent[:256]) if event.userAgent else ""
