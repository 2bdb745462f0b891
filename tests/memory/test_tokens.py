"""Where a credential is used, and whether it belongs there."""

from __future__ import annotations

from typing import Any

import pytest

from detector.event import Event
from detector.memory import Memory
from tests.memory.teaching import request, teach, told

PREFIX = "authentication.kubernetes.io/"
NODE = "system:node:n1"
APP = "system:serviceaccount:prod:app"


def seen(source: str, at: float = 0, **more: Any) -> Event:
    """Make a request from an address; ``pod``, ``credential`` and ``node`` are what the token says of itself."""
    names = {"pod": "pod-uid", "credential": "credential-id", "node": "node-name"}
    extra = {PREFIX + full: [more.pop(short)] for short, full in names.items() if short in more}
    user = {"extra": extra, **({"groups": more.pop("groups")} if "groups" in more else {})}
    more = {"by": APP, "level": "Metadata" if at else "RequestResponse", **more}
    return request("get", "configmaps", "c", at=at, user=user, sourceIPs=[source], **more)


def status(pod: str, address: str, host: str = "192.0.2.1", by: str = NODE, **more: Any) -> Event:
    body = {"metadata": {"uid": pod}, "status": {"podIP": address, "podIPs": [{"ip": address}], "hostIP": host}}
    return request("patch", "pods/status", "web", by=by, request=more.pop("body", body), **more)


def other(memory: Memory, one: Event) -> Any:
    return told(memory, "token.other_source", one)


@pytest.mark.parametrize("what", ["pod", "credential"])
def test_a_credential_from_a_second_address_is_told_once(what: str) -> None:
    a: dict[str, Any] = {what: "a"}
    memory = teach(Memory(), seen("10.0.0.1", **a))
    stolen = seen("10.9.9.9", 1, **a)
    assert other(memory, stolen) == "10.0.0.1"
    assert other(memory, seen("10.0.0.1", 1, **a)) is None
    assert other(memory, seen("10.9.9.9", 1, **{**a, what: "b"})) is None
    teach(memory, stolen)
    assert other(memory, seen("10.9.9.9", 2, **a)) is None


def test_the_tokens_of_a_pod_are_one_credential() -> None:
    memory = teach(Memory(), seen("10.0.0.1", pod="p", credential="JTI=1"))
    assert other(memory, seen("10.9.9.9", 4_000, pod="p", credential="JTI=2")) == "10.0.0.1"


def test_a_credential_of_many_places_says_nothing() -> None:
    memory = teach(Memory(), *(seen(f"10.0.0.{n}", n, credential="a") for n in range(4)))
    assert other(memory, seen("10.9.9.9", 9, credential="a")) is None


def test_claimed_addresses_do_not_count() -> None:
    memory = teach(Memory(), seen("10.0.0.1", pod="p"))
    claimed = seen("10.9.9.9", 1, pod="p")
    claimed.sourceIPs = ["10.0.0.1", "10.9.9.9"]
    assert other(memory, claimed) == "10.0.0.1"


def test_refused_requests_teach_no_address() -> None:
    memory = teach(Memory(), seen("10.9.9.9", pod="p", code=403))
    assert other(memory, seen("10.0.0.1", 1, pod="p")) is None
    assert memory.sizes()["holders"] == 0


def outside(memory: Memory, one: Event) -> Any:
    return told(memory, "token.outside_pod", one)


def test_a_pods_token_from_where_nobody_is_comes_from_outside() -> None:
    memory = teach(Memory(), seen("10.0.0.1", pod="p"), seen("10.0.0.2", 1, pod="q"), seen("192.0.2.1", 2, by=NODE))
    assert outside(memory, seen("10.9.9.9", 3, pod="p")) is True
    teach(memory, seen("10.9.9.9", 3, pod="p"))
    assert outside(memory, seen("10.9.9.9", 4, pod="p")) is True
    assert outside(memory, seen("10.0.0.1", 5, pod="p")) is False
    assert outside(memory, seen("10.0.0.2", 5, pod="p")) is None
    assert outside(memory, seen("192.0.2.1", 5, pod="p")) is None
    assert outside(memory, seen("10.9.9.9", 5, pod="new")) is None
    assert outside(memory, seen("10.9.9.9", 5, credential="JTI=1")) is None


def proven(*more: Event) -> Memory:
    pods = [(f"p{n}", f"10.0.0.{n}") for n in range(3)]
    events = [one for name, address in pods for one in (status(name, address), seen(address, 1, pod=name))]
    return teach(Memory(), *events, *more)


def test_a_token_never_used_before_is_known_by_what_its_node_says() -> None:
    memory = proven(status("quiet", "10.0.0.99"))
    assert outside(memory, seen("10.9.9.9", 2, pod="quiet")) is True
    assert outside(memory, seen("10.0.0.99", 2, pod="quiet")) is False
    assert outside(memory, seen("192.0.2.1", 2, pod="quiet")) is False
    teach(memory, seen("10.9.9.9", 2, pod="quiet"))
    assert outside(memory, seen("10.9.9.9", 3, pod="quiet")) is True
    assert outside(memory, seen("10.0.0.99", 3, pod="quiet")) is False


def test_what_nodes_say_counts_for_nothing_until_it_has_proven_true() -> None:
    memory = teach(Memory(), status("quiet", "10.0.0.99"))
    assert outside(memory, seen("10.9.9.9", 2, pod="quiet")) is None


def test_only_nodes_are_believed() -> None:
    memory = proven(status("quiet", "10.9.9.9", by="mallory"))
    assert outside(memory, seen("10.9.9.9", 2, pod="quiet")) is None


@pytest.mark.parametrize("body", [{}, [], "x", {"status": []}, {"metadata": 1, "status": {"podIP": 3}}])
def test_bodies_of_any_shape_are_passed_over(body: Any) -> None:
    assert teach(Memory(), status("p", "10.0.0.1", body=body)).sizes()["holders"] == 0


def test_behind_a_gateway_nothing_is_outside() -> None:
    memory = proven(*(seen("10.7.7.7", 2, pod=f"g{n}") for n in range(3)))
    assert outside(memory, seen("10.7.7.7", 3, pod="p1")) is None


def test_a_node_from_a_second_address_is_told() -> None:
    memory = teach(Memory(), seen("192.0.2.1", by=NODE), seen("192.0.2.2", 1, by="system:node:n2"))
    assert told(memory, "node.other_source", seen("192.0.2.2", 2, by=NODE)) == "192.0.2.1"
    assert told(memory, "node.other_source", seen("192.0.2.1", 2, by=NODE)) is None
    assert told(memory, "node.other_source", seen("192.0.2.2", 2)) is None


def test_a_token_on_another_node_is_told_the_first_time() -> None:
    memory = teach(Memory(), seen("192.0.2.1", by=NODE), seen("192.0.2.2", 1, by="system:node:n2"))
    moved = seen("192.0.2.2", 2, pod="p", node="n1")
    assert told(memory, "token.other_node", moved) is None
    teach(memory, seen("10.0.0.1", 2, pod="p", node="n1"))
    assert told(memory, "token.other_node", moved) == "n2"
    assert told(memory, "token.other_node", seen("192.0.2.1", 2, pod="p", node="n1")) is None
    assert told(memory, "token.other_node", seen("192.0.2.2", 2, pod="p")) is None
    teach(memory, seen("192.0.2.3", 2, by="system:node:n4"), seen("192.0.2.3", 2, by="system:node:n3"))
    assert told(memory, "token.other_node", seen("192.0.2.3", 3, pod="p", node="n1")) is None
    teach(memory, moved)
    assert told(memory, "token.other_node", moved) is None


def test_a_restored_memory_believes_nodes_as_before() -> None:
    memory = Memory()
    memory.load(proven(status("quiet", "10.0.0.99")).dump())
    assert outside(memory, seen("10.9.9.9", 2, pod="quiet")) is True
