"""Denied requests: the only thing that they teach."""

from __future__ import annotations

from typing import ClassVar

from detector.event import SECOND, Event
from detector.fields.actor import actor, effective_user, impersonation_denied
from detector.fields.habits import Refusal
from detector.fields.request import key, outcome
from detector.memory.subject import Subject, key_of
from detector.memory.table import Table

SIZE = 10_000
KEPT = 3600 * SECOND
"""So long after the last time a refusal counts."""
SETTLED = 300 * SECOND
"""What was refused so long ago cannot be pushed out by what is refused now."""
IMPERSONATE = "impersonate"
_FIRST_ERROR = 400

Key = tuple[str, ...]


class Denied(Subject):
    """Knows what was refused to whom: by user, verb, resource and namespace; until it is allowed.

    The user is the one the request was authorised as, so that people behind a proxy that impersonates them are told
    apart. That somebody may not impersonate is kept as such, whatever the request was.
    """

    every: ClassVar[bool] = True

    def __init__(self) -> None:
        self.table = Table(SIZE, Refusal, self._dropped, settled=SETTLED)
        super().__init__(denied=self.table)
        self._users: dict[str, int] = {}
        """How many entries each user has: most have none."""

    def get(self, event: Event, now: int) -> Refusal | None:
        """Give the refusal of such a request, or where somebody is impersonated that of doing so."""
        found = self.table.get(_key(event)) if self._users else None
        if found is None and self._users and event.impersonatedUser is not None:
            found = self.table.get(key_of(actor(event), IMPERSONATE))
        return found if found is not None and now - found.last <= KEPT else None

    def watch(self, event: Event, now: int) -> None:
        """Take in a refusal, or that what was refused is allowed."""
        other, user, status = event.impersonatedUser, event.user, event.responseStatus
        if status is None or status.code is None or status.code >= _FIRST_ERROR:
            if outcome(event) == "denied":
                self._refused(event, now)
        elif self._users and user is not None and (user.username in self._users or other is not None):
            self._allowed(event)

    def _allowed(self, event: Event) -> None:
        if outcome(event) == "allowed":
            self._forget(_key(event))
            if event.impersonatedUser is not None:
                self._forget(key_of(actor(event), IMPERSONATE))

    def _refused(self, event: Event, now: int) -> None:
        user: str | None = actor(event)
        if user is None:
            return
        asked = key_of(user, IMPERSONATE) if impersonation_denied(event) else _key(event)
        known = self.table.get(asked)
        if known is None:
            self._users[asked[0]] = self._users.get(asked[0], 0) + 1
        if known is None or now - known.last > KEPT:
            known = Refusal(now, now, 0)
        self.table.learn(asked, Refusal(known.at, max(now, known.last), known.count + 1), now)

    def _forget(self, asked: Key) -> None:
        gone = self.table.pop(asked)
        if gone is not None:
            self._dropped(asked, gone)

    def _dropped(self, asked: Key, _gone: Refusal) -> None:
        left = self._users[asked[0]] - 1
        if left:
            self._users[asked[0]] = left
        else:
            del self._users[asked[0]]

    def follow(self) -> None:
        """Count anew."""
        self._users.clear()
        for asked, _ in self.table.items():
            self._users[asked[0]] = self._users.get(asked[0], 0) + 1


def _key(event: Event) -> Key:
    ref = event.objectRef
    return key_of(effective_user(event), event.verb, key(event), ref.namespace if ref else None)
