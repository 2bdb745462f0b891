"""Chains of actors: the identities that a request is tied to, so that alerts about them are one incident.

A person makes a workload whose pods run as a service account; a token is made for another account; a binding gives
somebody rights. What the one does and what the other does next is one story.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detector.bounded import fit
from detector.event import Event
from detector.fields import value_of
from detector.fields.actor import CONTROLLERS

MOST = 100
"""Identities of one request that count; a binding may name thousands."""
LONGEST = 256
"""Longest identity kept, in bytes of UTF-8."""
NOBODY = frozenset({"", "anonymous", "unauthenticated"})
_ACCOUNT = "system:serviceaccount:"
_ISSUED = "authentication.kubernetes.io/issued-credential-id"
_SHARED = ("system:apiserver", "system:kube-", "system:node", "system:masters", "system:anonymous")
"""Beginnings of the names of identities that many others work through: they tie nobody to anybody."""


def identities(event: Event) -> tuple[str, ...]:
    """Give the identities that a request ties together, the actor's own first.

    They are ``user:NAME``, ``credential:ID`` and, where nobody was authenticated, ``source:ADDRESS``. Requests that
    were not allowed tie the actor to nobody.
    """
    found = [*_own(event), *(_tied(event) if value_of("outcome", event) == "allowed" else ())]
    return tuple(dict.fromkeys(fit(one, LONGEST) for one in found))[:MOST]


def _own(event: Event) -> Iterable[str]:
    kind = value_of("actor.kind", event) or ""
    if kind in NOBODY:
        yield from _named("source", value_of("source.ip", event))
        return
    # What a controller of Kubernetes does, somebody made it do.
    behind = value_of("memory.target.owner.changed_by", event) if value_of("actor.builtin", event) else None
    yield from _named("user", behind or value_of("actor", event))
    if behind is None and kind != "node":
        yield from _named("credential", value_of("credential.id", event))


def _tied(event: Event) -> Iterable[str]:
    if event.impersonatedUser is not None:
        yield from _person(value_of("effective.user", event))
    for subject in value_of("rbac.subjects", event) or ():
        yield from _person(subject["user"])
    yield from _person(value_of("csr.user", event))
    ref = event.objectRef
    if ref is None or not ref.namespace:
        return
    if (ref.resource, ref.subresource) == ("serviceaccounts", "token") and value_of("actor.kind", event) != "node":
        yield from _person(f"{_ACCOUNT}{ref.namespace}:{ref.name}")
        yield from _named("credential", (event.annotations or {}).get(_ISSUED))
    for field in ("pod.serviceaccount", "memory.target.pod.service_account"):
        name = value_of(field, event)
        if name and name != "default":
            yield from _person(name if name.startswith(_ACCOUNT) else f"{_ACCOUNT}{ref.namespace}:{name}")


def _person(name: Any) -> Iterable[str]:
    """Give a user or a service account, but none that many others work through."""
    if isinstance(name, str) and not name.startswith(_SHARED) and name not in CONTROLLERS:
        yield from _named("user", name)


def _named(kind: str, name: Any) -> Iterable[str]:
    if isinstance(name, str) and name:
        yield f"{kind}:{name}"
