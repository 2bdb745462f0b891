"""What somebody never did before, once he is known well."""

from __future__ import annotations

from typing import Any

import pytest

from detector.event import Event
from detector.fields.habits import MOST, SPANS
from detector.memory import Memory
from tests.memory.teaching import request, teach, told

SPAN = 300.0
USUAL: dict[str, Any] = {"by": "alice", "userAgent": "kubectl/v1.30 (linux/amd64)", "sourceIPs": ["10.0.0.1"]}
LATER = SPAN * (SPANS + 2)


def usual(at: float = LATER, key: str = "pods/log", **more: Any) -> Event:
    return request(more.pop("verb", "get"), key, "web", at=at, **{**USUAL, **more})


def known(spans: int = SPANS, **more: Any) -> Memory:
    return teach(Memory(), *(usual(at=SPAN * n, **more) for n in range(spans)))


NEW: dict[str, Event] = {
    "new_source": usual(sourceIPs=["10.0.0.2"]),
    "new_user_agent": usual(userAgent="curl/8.0"),
    "new_verb": usual(verb="delete"),
    "new_resource": usual(key="configmaps"),
    "new_namespace": usual(ref={"namespace": "other"}),
    "new_subresource": usual(key="pods/exec"),
    "source_chain_new": usual(sourceIPs=["1.2.3.4", "10.0.0.1"]),
}


@pytest.mark.parametrize("name", NEW)
def test_what_somebody_never_did_is_new_until_he_does_it(name: str) -> None:
    memory = known()
    assert told(memory, f"actor.{name}", NEW[name]) is True
    for other in NEW:
        assert told(memory, f"actor.{other}", usual()) is None
    teach(memory, NEW[name])
    assert told(memory, f"actor.{name}", NEW[name]) is None


@pytest.mark.parametrize("name", NEW)
def test_nothing_is_new_of_whom_memory_does_not_know_well(name: str) -> None:
    assert told(Memory(), f"actor.{name}", NEW[name]) is None
    assert told(known(SPANS - 1), f"actor.{name}", NEW[name]) is None
    assert told(known(), f"actor.{name}", usual(by="bob")) is None


def test_much_at_once_is_not_long() -> None:
    memory = teach(Memory(), *(usual(at=n / 10) for n in range(500)))
    assert told(memory, "actor.new_verb", usual(verb="delete")) is None


def test_refused_requests_teach_nothing() -> None:
    assert told(known(code=403), "actor.new_verb", NEW["new_verb"]) is None
    memory = teach(known(), usual(verb="delete", code=403))
    assert told(memory, "actor.new_verb", NEW["new_verb"]) is True


def test_nothing_is_new_of_somebody_who_does_everything() -> None:
    memory = teach(known(), *(usual(ref={"namespace": f"ns-{n}"}, at=LATER + n) for n in range(MOST["namespace"])))
    assert told(memory, "actor.new_namespace", usual(ref={"namespace": "other"})) is None


def test_another_version_of_the_program_is_not_new() -> None:
    assert told(known(), "actor.new_user_agent", usual(userAgent="kubectl/v1.31 (darwin/arm64)")) is None


def test_a_long_name_passes_for_no_other() -> None:
    memory = known(ref={"namespace": "n" * 300 + "a"})
    assert told(memory, "actor.new_namespace", usual(ref={"namespace": "n" * 300 + "b"})) is True
    assert told(memory, "actor.new_namespace", usual(ref={"namespace": "n" * 300 + "a"})) is None


def test_habits_are_those_of_the_user_that_is_impersonated() -> None:
    worn: dict[str, Any] = {"by": "proxy", "impersonatedUser": {"username": "alice"}}
    memory = known(**worn)
    assert told(memory, "actor.new_verb", usual(verb="delete", **worn)) is True
    assert told(memory, "actor.new_verb", usual(verb="delete")) is True
    assert told(memory, "actor.new_verb", usual(verb="delete", by="proxy")) is True


def impersonation(memory: Memory, user: str, by: str = "proxy") -> Any:
    return told(memory, "actor.new_impersonation", usual(by=by, impersonatedUser={"username": user}))


def test_an_impersonation_is_new_the_first_time() -> None:
    assert impersonation(known(), "bob", by="alice") is True
    memory = known(by="proxy", impersonatedUser={"username": "alice"})
    assert impersonation(memory, "bob") is True
    assert impersonation(memory, "alice") is None
    assert impersonation(Memory(), "bob") is None
    assert told(memory, "actor.new_impersonation", usual(by="proxy")) is None


def added(memory: Memory, *groups: str, **more: Any) -> Any:
    return told(memory, "actor.groups_added", usual(user={"groups": list(groups)}, **more))


def test_groups_that_somebody_never_had_are_told() -> None:
    memory = known(spans=1, user={"groups": ["devs", "system:authenticated"]})
    assert added(memory, "devs", "system:masters") == ["system:masters"]
    assert added(memory, "devs") is None
    assert added(memory, "devs", by="bob") is None
    teach(memory, usual(user={"groups": ["system:masters"]}))
    assert added(memory, "system:masters", at=LATER + 1) is None


def test_of_somebody_with_very_many_groups_none_is_new() -> None:
    memory = known(spans=1, user={"groups": [f"g{n}" for n in range(60)]})
    assert added(memory, "devs") is None


def place(name: str, memory: Memory, at: float, **more: Any) -> Any:
    return told(memory, f"actor.{name}", usual(at=at, **more))


def test_one_person_in_two_public_networks_within_an_hour_is_told() -> None:
    memory = teach(Memory(), usual(at=0, sourceIPs=["93.184.216.34"]))
    assert place("other_network", memory, 60, sourceIPs=["1.1.1.1"]) == "93.184.216.0/24"
    assert place("other_network", memory, 60, sourceIPs=["2606:4700:4700::1111"]) == "93.184.216.0/24"
    assert place("other_network", memory, 60, sourceIPs=["93.184.216.99"]) is None
    assert place("other_network", memory, 60, sourceIPs=["10.0.0.1"]) is None
    assert place("other_network", memory, 5_000, sourceIPs=["1.1.1.1"]) is None
    assert place("other_network", memory, 60, sourceIPs=["1.1.1.1"], by="bob") is None


def test_programs_may_come_from_many_networks() -> None:
    robot = "system:serviceaccount:prod:robot"
    memory = teach(Memory(), usual(at=0, sourceIPs=["93.184.216.34"], by=robot))
    assert place("other_network", memory, 60, sourceIPs=["1.1.1.1"], by=robot) is None


def test_one_person_on_two_platforms_within_an_hour_is_told() -> None:
    memory = teach(Memory(), usual(at=0))
    assert place("other_platform", memory, 60, userAgent="k9s/v1 (darwin/arm64)") == "linux"
    assert place("other_platform", memory, 60, userAgent="k9s/v1 (linux/arm64)") is None
    assert place("other_platform", memory, 60, userAgent="curl") is None
    assert place("other_platform", memory, 5_000, userAgent="k9s/v1 (darwin/arm64)") is None


def read(at: float, name: str, where: str = "prod", verb: str = "get") -> Event:
    return request(verb, "secrets", name, at=at, ref={"namespace": where})


def day(memory: Memory, at: float) -> tuple[Any, Any, Any]:
    one = read(at, "x")
    return tuple(told(memory, f"actor.{name}", one) for name in ("secrets_today", "secrets_usual", "namespaces_today"))


def test_what_somebody_reads_in_a_day_is_counted_and_compared_with_the_days_before() -> None:
    memory = teach(Memory(), read(0, "a"), read(1, "a"), read(2, "b", "other"), read(3, "a", verb="watch"))
    assert day(memory, 9) == (2, None, 2)
    assert day(memory, 86_400) == (None, None, None)
    teach(memory, read(86_400, "a"))
    assert day(memory, 86_401) == (1, 2, 1)


def test_counting_ends_somewhere() -> None:
    memory = teach(Memory(), *(read(n / 10, f"s{n}", f"ns{n}") for n in range(300)))
    assert day(memory, 99) == (200, None, 100)


def test_what_is_learnt_does_not_depend_on_what_is_remembered_of_sightings() -> None:
    straight, restored = Memory(), Memory()
    for n in range(300):
        more: dict[str, Any] = {"sourceIPs": [f"10.0.0.{n % 7}"], "by": f"user-{n % 5}"}
        one = usual(at=n * 37.0 - 400 * (n % 11 == 5), level=("Metadata", "Request")[n % 3 == 0], **more)
        facts = [[told(memory, f"actor.{name}", one) for name in NEW] for memory in (straight, restored)]
        levels = [told(memory, "audit.level_dropped", one) for memory in (straight, restored)]
        assert facts[0] == facts[1]
        assert levels[0] == levels[1]
        teach(straight, one)
        teach(restored, one)
        restored.load(restored.dump())
    assert straight.dump() == restored.dump()
