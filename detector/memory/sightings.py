"""Sightings: who was seen doing what, from where, with what; each once in five minutes."""

from __future__ import annotations

from typing import NamedTuple

from detector.event import Event
from detector.fields.habits import SPAN
from detector.fields.request import DECISION, FORBID

MOST = 8_192
"""Sightings remembered; what is forgotten is only looked at again."""
CREDENTIAL = "authentication.kubernetes.io/credential-id"
POD = "authentication.kubernetes.io/pod-uid"
_FIRST_CODE, _FIRST_ERROR = 100, 400
_NONE = (None,)


class Sighting(NamedTuple):
    """What of an allowed request tells of habits: all that subjects may look at when they `meet` it."""

    span: int
    user: str
    groups: tuple[str, ...]
    impersonated: str | None
    impersonated_groups: tuple[str, ...]
    pod: str | None
    """The uid of the pod that the user's token belongs to."""
    credential: str | None
    source: str | None
    chain: int
    agent: str | None
    """The User-Agent as it is."""
    verb: str | None
    resource: str | None
    subresource: str | None
    namespace: str | None
    level: str | None

    @property
    def effective(self) -> str:
        """The user that the request was authorised as."""
        return self.impersonated or self.user


class Sightings:
    """The sightings of the present span of five minutes.

    Whoever meets one may learn only what the same sighting cannot change again within the span, so that it makes no
    difference whether one is remembered here: this is no part of the state.
    """

    def __init__(self) -> None:
        self._span = 0
        self._seen: set[int] = set()

    def first(self, event: Event, now: int) -> Sighting | None:
        """Give the sighting that an event is; None for one that was allowed to nobody, or that is remembered."""
        user, status, notes = event.user, event.responseStatus, event.annotations
        if user is None or not user.username or status is None or status.code is None:
            return None
        if not _FIRST_CODE <= status.code < _FIRST_ERROR or (notes is not None and notes.get(DECISION) == FORBID):
            return None
        ref, other, sources, extra = event.objectRef, event.impersonatedUser, event.sourceIPs, user.extra
        seen = (
            user.username,
            tuple(user.groups) if user.groups else (),
            None if other is None else other.username,
            () if other is None or not other.groups else tuple(other.groups),
            (extra.get(POD) or _NONE)[0] if extra else None,
            (extra.get(CREDENTIAL) or _NONE)[0] if extra else None,
            sources[-1] if sources else None,
            len(sources) if sources else 0,
            event.userAgent,
            event.verb,
            None if ref is None else ref.resource,
            None if ref is None else ref.subresource,
            None if ref is None else ref.namespace,
            event.level,
        )
        span = now // SPAN
        if span != self._span:
            self._span = span
            self._seen.clear()
        mark = hash(seen)  # of texts as long as clients like; nobody outside can make two of them alike
        if mark in self._seen:
            return None
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen.add(mark)
        return Sighting._make((span, *seen))

    def forget(self, *_: object) -> None:
        """Remember nothing: something that was learnt is gone, and will have to be learnt again."""
        self._seen.clear()
