"""What memory answers about those who act, and about the log itself: nouns and questions.

A part of `detector.fields.facts`. Times are microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from detector.event import SECOND, Event

SPAN = 300 * SECOND
"""The grain of habits: what one does twice within it (counted from 1970) is done once."""
SPANS = 12
"""Somebody who was active in so many spans is known well enough to say what is new."""
MOST = {
    "source": 24,
    "agent": 12,
    "verb": 12,
    "resource": 48,
    "subresource": 12,
    "namespace": 48,
    "impersonated": 24,
    "chain": 6,
}
"""The habits that are kept, and how many of each: of somebody with more, nothing is new."""
LONGEST_CHAIN = 99
"""Longer chains of addresses are all alike."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A kind of request that was refused: when first, when last, how often."""

    at: int
    last: int
    count: int


class Holder(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A credential, or a pod with all its tokens: where it was used, and where its node says that it is."""

    at: int
    span: int = 0
    """When it was used last."""
    sources: tuple[str, ...] = ()
    """The first addresses it came from, in order."""
    stated: tuple[str, ...] = ()
    """Addresses of the pod and of its node."""


class Station(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A node: the first addresses that its identity came from; or an address: the node that is there."""

    at: int
    span: int = 0
    sources: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What somebody does."""

    at: int
    span: int = 0
    """The last span with something new in time."""
    spans: int = 0
    """How many spans had a request, up to `SPANS`."""
    habits: dict[str, list[str]] = {}
    """By the names in `MOST`."""
    groups: list[str] | None = []
    """None when there are too many."""
    clients: dict[str, int] = {}
    """Networks and platforms, and the span in which each was seen last."""


class Day(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How much somebody has read on one day (UTC), as digests."""

    at: int
    day: int = 0
    secrets: list[int] = []
    namespaces: list[int] = []
    usual: int | None = None
    """The most Secrets on an earlier day."""


class Recorded(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """In how much detail somebody's requests of a kind are recorded."""

    at: int
    levels: tuple[str, ...] = ()
    """Metadata, Request, RequestResponse: those seen."""


class Denied(Protocol):
    """What is known of refusals."""

    def get(self, event: Event, now: int) -> Refusal | None:
        """Give the refusal of a request like this one within the last hour, if it was not allowed since."""


class Tokens(Protocol):
    """What is known of where credentials are used."""

    def other_source(self, event: Event) -> str | None:
        """Give the address that the credential of a request came from first, when this one is new."""

    def outside(self, event: Event) -> bool | None:
        """Tell whether a pod's token comes from where the pod is not."""

    def node_other_source(self, event: Event) -> str | None:
        """Give the address that a node's identity came from first, when this one is new."""

    def node_at(self, address: str | None) -> str | None:
        """Give the node that has an address; None when there is none, or more than one."""


class Identities(Protocol):
    """What is known of what people and programs do."""

    def is_new(self, user: str | None, habit: str, value: str) -> bool | None:
        """Tell whether a user does something for the first time; ``habit`` is one of `MOST`."""

    def groups_added(self, user: str | None, stated: Iterable[str]) -> list[str] | None:
        """Give the groups that a user never had before."""

    def other_network(self, user: str | None, source: str | None, now: int) -> str | None:
        """Give another public network that a person came from within the last hour."""

    def other_platform(self, user: str | None, agent: str | None, now: int) -> str | None:
        """Give another operating system that a person worked on within the last hour."""

    def today(self, user: str | None, now: int) -> Day | None:
        """Give what a user has read today; None when nothing."""


class Audit(Protocol):
    """What is known of the log itself."""

    def reused(self, event: Event) -> bool | None:
        """Tell whether another request had the Audit-ID of this one."""

    def level(self, event: Event) -> Recorded | None:
        """Give the levels at which such requests of the user were recorded before."""
