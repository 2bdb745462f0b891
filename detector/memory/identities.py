"""Identities: what people and programs do, and from where; so that what they never did is new."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar
from zlib import crc32

import msgspec

from detector.event import DAY, Event, ObjectRef
from detector.fields.actor import effective_user, kind_of, program
from detector.fields.habits import LONGEST_CHAIN, MOST, SPAN, SPANS, Day, Profile
from detector.fields.network import is_public
from detector.fields.request import object_name
from detector.memory.sightings import Sighting, Sightings
from detector.memory.subject import Places, Subject, key_of, known_as
from detector.memory.table import Table

Changes = dict[str, Any]

SIZE = 10_000
MOST_GROUPS = 48
MOST_CLIENTS = 8
MOST_SECRETS, MOST_NAMESPACES = 200, 100
"""So far one user's day is counted."""
NETWORK = "/"
"""Is in the name of a network, and in no other."""
HOUR = 12
"""Spans in an hour: so long a client counts as used now."""
_PLATFORM = re.compile(r"\((linux|darwin|windows)[/;)]")
_LONGEST = 64
_UNIT = 8
"""So many names weigh one."""
_BITS = {4: 24, 6: 48}
"""Bits of an address that stay the same when somebody's provider gives him another one."""


class Identities(Subject):
    """Knows users, as requests are authorised for them, and whom they impersonate."""

    meets: ClassVar[bool] = True
    teaches: ClassVar[Places] = {("", "secrets"): ("get", "list", "watch")}

    def __init__(self, sightings: Sightings) -> None:
        self.table = Table(SIZE, Profile, sightings.forget, _weight)
        self.days = Table(SIZE, Day, sightings.forget, _weight_of_day)
        super().__init__(identities=self.table, days=self.days)

    def is_new(self, user: str | None, habit: str, value: str) -> bool | None:
        """Tell whether a user does something for the first time; None of whom that says nothing."""
        known = self.table.get(key_of(user))
        if known is None or known.spans < SPANS:
            return None
        values = known.habits.get(habit, ())
        return known_as(value) not in values if len(values) < MOST[habit] else None

    def groups_added(self, user: str | None, stated: Iterable[str]) -> list[str] | None:
        """Give the groups that a user never had before."""
        known = self.table.get(key_of(user))
        if known is None or not known.groups:
            return None
        return [group for group in dict.fromkeys(stated) if known_as(group) not in known.groups]

    def other_network(self, user: str | None, source: str | None, now: int) -> str | None:
        """Give another public network that a person came from within the last hour."""
        return self._other_client(user, network_of(source) if source else None, NETWORK, now)

    def other_platform(self, user: str | None, agent: str | None, now: int) -> str | None:
        """Give another operating system that a person worked on within the last hour."""
        return self._other_client(user, platform_of(agent) if agent else None, "", now)

    def _other_client(self, user: str | None, one: str | None, mark: str, now: int) -> str | None:
        known = self.table.get(key_of(user)) if one else None
        alike = (name for name in known.clients if (NETWORK in name) is bool(mark) and name != one) if known else ()
        return next((name for name in alike if known and known.clients[name] >= now // SPAN - HOUR), None)

    def today(self, user: str | None, now: int) -> Day | None:
        """Give what a user has read today; None when nothing."""
        known = self.days.get(key_of(user))
        return known if known is not None and known.day == now // DAY else None

    def meet(self, met: Sighting, now: int) -> None:
        """Take in what somebody does."""
        key = key_of(met.effective)
        known = self.table.get(key) or Profile(at=now)
        changes = _more(known, _habits(met)) | _groups(known, met) | _clients(known, met)
        self._change(key, known, changes, met, now)
        if met.impersonated:
            key = key_of(met.user)
            known = self.table.get(key) or Profile(at=now)
            self._change(key, known, _more(known, (("impersonated", met.impersonated),)), met, now)
        if met.namespace:
            self._count(met.effective, "namespaces", _mark(met.namespace), MOST_NAMESPACES, now)

    def _change(self, key: tuple[str, ...], known: Profile, changes: Changes, met: Sighting, now: int) -> None:
        """Change what is known of a user, and count the span as one in which he was active."""
        later = met.span > known.span or met.span < known.span - HOUR
        if later or not known.spans:
            changes = {**changes, "span": met.span, "spans": min(SPANS, known.spans + 1)}
        if changes:
            changed = msgspec.structs.replace(known, **changes)
            (self.table.learn if later else self.table.amend)(key, changed, now)

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in that somebody reads Secrets; all of a namespace, or of the cluster, count as one."""
        name = _mark(f"{ref.namespace or ''}/{object_name(event) or '*'}")
        self._count(effective_user(event) or "", "secrets", name, MOST_SECRETS, now)

    def _count(self, user: str, what: str, name: int, most: int, now: int) -> None:
        key, day = key_of(user), now // DAY
        known = self.days.get(key)
        if known is None or day > known.day or day < known.day - 1:
            begun = Day(at=known.at if known else now, day=day, usual=_usual(known))
            self.days.learn(key, msgspec.structs.replace(begun, **{what: [name]}), now)
        elif day == known.day:
            names = getattr(known, what)
            if name not in names and len(names) < most:
                self.days.amend(key, msgspec.structs.replace(known, **{what: [*names, name]}), now)


def _mark(text: str) -> int:
    return crc32(text.encode(errors="replace"))


@lru_cache(maxsize=4096)
def network_of(address: str) -> str | None:
    """Give the network that a public address lies in; None for any other."""
    if len(address) > _LONGEST or not is_public(address):
        return None
    parsed = ip_address(address.partition("%")[0])
    return str(ip_network((parsed, _BITS[parsed.version]), strict=False))


def _weight(profile: Profile) -> int:
    return sum(map(len, profile.habits.values())) // _UNIT


def _weight_of_day(day: Day) -> int:
    return (len(day.secrets) + len(day.namespaces)) // (2 * _UNIT)


def _usual(known: Day | None) -> int | None:
    return None if known is None else max(known.usual or 0, len(known.secrets))


def _habits(met: Sighting) -> tuple[tuple[str, str | None], ...]:
    return (
        ("source", met.source),
        ("chain", str(min(met.chain, LONGEST_CHAIN)) if met.chain else None),
        ("agent", program(met.agent[:128]) if met.agent else None),
        ("verb", met.verb),
        ("resource", met.resource),
        ("subresource", met.subresource),
        ("namespace", met.namespace),
    )


def _more(known: Profile, found: Iterable[tuple[str, str | None]]) -> Changes:
    """Give what changes of a user's habits."""
    changed: dict[str, list[str]] = {}
    for habit, value in found:
        values = known.habits.get(habit, ())
        if value and len(values) < MOST[habit] and (value := known_as(value)) not in values:
            changed[habit] = [*values, value]
    return {"habits": {**known.habits, **changed}} if changed else {}


def _groups(known: Profile, met: Sighting) -> Changes:
    if known.groups is None:
        return {}
    stated = met.impersonated_groups if met.impersonated else met.groups
    more = [group for group in dict.fromkeys(map(known_as, stated)) if group not in known.groups]
    if not more:
        return {}
    return {"groups": [*known.groups, *more] if len(known.groups) + len(more) <= MOST_GROUPS else None}


def _clients(known: Profile, met: Sighting) -> Changes:
    clients = clients_of(met.effective, met.source, met.agent)
    if all(known.clients.get(client, -1) >= met.span for client in clients):
        return {}
    left = {client: span for client, span in known.clients.items() if span >= met.span - HOUR}
    fit = clients if len(left.keys() | set(clients)) <= MOST_CLIENTS else ()
    return {"clients": left | dict.fromkeys(fit, met.span)}


def clients_of(user: str, source: str | None, agent: str | None) -> tuple[str, ...]:
    """Give the public network and the platform that a person works from."""
    if kind_of(user) != "human":
        return ()
    network = network_of(source) if source else None
    return tuple(filter(None, (network, platform_of(agent) if agent else None)))


def platform_of(agent: str) -> str | None:
    """Give the operating system that a user agent of a Kubernetes client names."""
    found = _PLATFORM.search(agent[:256])
    return found[1] if found else None
