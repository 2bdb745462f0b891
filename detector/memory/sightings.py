"""Sightings: who was seen doing what, from where, with what; each once in five minutes."""

from __future__ import annotations

from typing import Any, NamedTuple

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

    Whoever meets one may learn only what the same sighting cannot change again within the span, and of one that was met
    facts say that nothing is new: so it makes no difference whether one is remembered here, which is no part of the
    state.
    """

    def __init__(self) -> None:
        self._span = 0
        self._seen: set[int] = set()
        self._mark = 0
        self._found: tuple[Any, ...] | None = None
        """What the event that is looked at would be as a sighting; None when there is nothing to meet."""

    def look(self, event: Event, now: int) -> bool:
        """Look whether an event is a sighting that was met. One that was allowed to nobody never is."""
        self._found = None
        user, status, notes = event.user, event.responseStatus, event.annotations
        if user is None or not user.username or status is None or status.code is None:
            return False
        if not _FIRST_CODE <= status.code < _FIRST_ERROR or (notes is not None and notes.get(DECISION) == FORBID):
            return False
        ref, other, sources, extra = event.objectRef, event.impersonatedUser, event.sourceIPs, user.extra
        found = (
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
        self._mark = hash(found)  # of texts as long as clients like; nobody outside can make two of them alike
        if self._mark in self._seen:
            return True
        self._found = found
        return False

    def meet(self) -> Sighting | None:
        """Give the sighting that was looked at, and remember it; None when there is none, or it was met before."""
        if self._found is None:
            return None
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen.add(self._mark)
        found, self._found = self._found, None
        return Sighting._make((self._span, *found))

    def forget(self, *_: object) -> None:
        """Remember nothing: something that was learnt is gone, and will have to be learnt again."""
        self._seen.clear()
