"""Tokens and other credentials: from which addresses they are used, and which pods and nodes are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from detector.event import Event, ObjectRef
from detector.fields.habits import Holder, Station
from detector.memory.sightings import CREDENTIAL, POD, Sighting, Sightings
from detector.memory.subject import Places, Subject, key_of, known_as
from detector.memory.table import Table

SIZE = 20_000
MOST = 4
"""Addresses kept of one credential or node, and names kept of one address. With more, it says nothing."""
CROWD = 3
"""An address of so many is a gateway, or a load balancer before the API server."""
PROVEN = 3
"""So many pods must come from the address that their node states before such addresses are believed."""
NODE = "system:node:"


class _Address(msgspec.Struct, gc=False):
    ip: str | None = None


class _Status(msgspec.Struct, gc=False):
    pod: str | None = msgspec.field(default=None, name="podIP")
    pods: list[_Address] | None = msgspec.field(default=None, name="podIPs")
    host: str | None = msgspec.field(default=None, name="hostIP")
    hosts: list[_Address] | None = msgspec.field(default=None, name="hostIPs")


class _Metadata(msgspec.Struct, gc=False):
    uid: str | None = None


class _Body(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None
    status: _Status | None = None


_READ = msgspec.json.Decoder(_Body)


class Tokens(Subject):
    """Knows credentials, or where a token belongs to a pod that pod; nodes; and who is at an address."""

    meets: ClassVar[bool] = True
    teaches: ClassVar[Places] = {("", "pods/status"): ("update", "patch")}

    def __init__(self, sightings: Sightings) -> None:
        self.holders = Table(SIZE, Holder, sightings.forget)
        self.nodes = Table(SIZE, Station, sightings.forget)
        self.addresses = Table(SIZE, Station, sightings.forget)
        super().__init__(holders=self.holders, nodes=self.nodes, addresses=self.addresses)
        self._proven = 0
        """How many pods came from where their node states that they are; no more than `PROVEN`."""

    def other_source(self, event: Event) -> str | None:
        """Give the address that the credential of a request came from first, when this one is new."""
        return _first_of(self._holder(event), event)

    def node_other_source(self, event: Event) -> str | None:
        """Give the address that a node's identity came from first, when this one is new."""
        name = event.user.username if event.user else None
        if not name or not name.startswith(NODE):
            return None
        return _first_of(self.nodes.get(key_of(name.removeprefix(NODE))), event)

    def _holder(self, event: Event) -> Holder | None:
        extra = event.user.extra if event.user else None
        return self.holders.get(_key(_first(extra, POD), _first(extra, CREDENTIAL)))

    def outside(self, event: Event) -> bool | None:
        """Tell whether a pod's token comes from where no pod is.

        That is where no pod or node is known to be; or, where the nodes' word for it has proven true, from any address
        but the pod's own and its node's. None where that cannot be told.
        """
        pod = _first(event.user.extra, POD) if event.user else None
        known = self.holders.get((known_as(pod),)) if pod else None
        if known is None or not event.sourceIPs:
            return None
        source = known_as(event.sourceIPs[-1])
        if source in known.stated or (source in known.sources[:1] and not known.stated):
            return False
        there = self.addresses.get((source,))
        if there is not None and len(there.sources) >= CROWD:
            return None
        if known.stated and self._proven >= PROVEN:
            return source not in known.stated
        if not known.sources or source == known.sources[0]:
            return False if known.sources else None
        return True if there is None else None

    def node_at(self, address: str | None) -> str | None:
        """Give the node that has an address; None when there is none, or more than one."""
        there = self.addresses.get(key_of(address))
        nodes = [name for name in there.sources if name.startswith(NODE)] if there else []
        return nodes[0].removeprefix(NODE) if len(nodes) == 1 else None

    def meet(self, met: Sighting, now: int) -> None:
        """Take in where a credential is used."""
        if met.source is None:
            return
        source = known_as(met.source)
        key = _key(met.pod, met.credential)
        if key[0]:
            known = self.holders.get(key) or Holder(at=now)
            if not known.sources and met.pod:
                self._proven = min(PROVEN, self._proven + (source in known.stated))
                self._settle_at(source, key[0], met.span, now)
            _keep(self.holders, key, known, source, met.span, now)
        if met.user.startswith(NODE):
            named = key_of(met.user.removeprefix(NODE))
            node = self.nodes.get(named) or Station(at=now)
            if not node.sources:
                self._settle_at(source, known_as(met.user), met.span, now)
            _keep(self.nodes, named, node, source, met.span, now)

    def _settle_at(self, source: str, name: str, span: int, now: int) -> None:
        known = self.addresses.get((source,)) or Station(at=now)
        _keep(self.addresses, (source,), known, name, span, now)

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in where a node says that a pod is."""
        if event.user is None or not (event.user.username or "").startswith(NODE):
            return
        try:
            body = _READ.decode(event.requestObject)
        except msgspec.DecodeError:
            return
        stated = tuple(dict.fromkeys(_addresses(body.status)))[:MOST] if body.status else ()
        uid = ref.uid or (body.metadata.uid if body.metadata else None)
        if not stated or not uid:
            return
        known = self.holders.get(_key(uid, None))
        if known is None or known.stated != stated:
            self.holders.learn(_key(uid, None), msgspec.structs.replace(known or Holder(at=now), stated=stated), now)

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {**super().dump(), "proven": self._proven}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._proven = state.get("proven", 0)
        super().load(state)


def _keep(table: Table[Any], key: tuple[str, ...], known: Holder | Station, value: str, span: int, now: int) -> None:
    """Add to what is known, and count it as heard of once a span."""
    new, later = value not in known.sources and len(known.sources) < MOST, span > known.span
    if new or later:
        sources = (*known.sources, value) if new else known.sources
        changed = msgspec.structs.replace(known, span=max(span, known.span), sources=sources)
        (table.learn if later else table.amend)(key, changed, now)


def _first_of(known: Holder | Station | None, event: Event) -> str | None:
    source = event.sourceIPs[-1] if event.sourceIPs else None
    if known is None or not known.sources or len(known.sources) >= MOST or source is None:
        return None
    return None if known_as(source) in known.sources else known.sources[0]


def _key(pod: str | None, credential: str | None) -> tuple[str, ...]:
    return key_of(pod or credential)


def _first(extra: dict[str, list[str] | None] | None, name: str) -> str | None:
    values = extra.get(name) if extra else None
    return values[0] if values else None


def _addresses(status: _Status) -> Iterator[str]:
    for address in (status.pod, status.host):
        if address:
            yield known_as(address)
    for one in (*(status.pods or ()), *(status.hosts or ())):
        if one.ip:
            yield known_as(one.ip)
