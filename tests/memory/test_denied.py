"""A refusal is remembered for an hour, or until the same is allowed; it teaches nothing else."""

from __future__ import annotations

from typing import Any

from detector.event import Event
from detector.memory import Memory
from tests.memory.teaching import request, teach, told

NO = 'pods is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope'


def refused(at: float = 0, code: int = 403, **more: Any) -> Event:
    return request(more.pop("verb", "list"), more.pop("key", "secrets"), at=at, code=code, **more)


def wanted(at: float = 60, **more: Any) -> Event:
    return request(more.pop("verb", "list"), more.pop("key", "secrets"), at=at, **more)


def denied(memory: Memory, one: Event) -> tuple[Any, Any]:
    return told(memory, "denied.age", one), told(memory, "denied.count", one)


def test_what_was_refused_is_told_until_it_is_allowed() -> None:
    memory = teach(Memory(), refused(), refused(at=10))
    assert denied(memory, wanted()) == (50, 2)
    teach(memory, wanted())
    assert denied(memory, wanted(at=61)) == (None, None)
    assert memory.sizes()["denied"] == 0


def test_only_the_same_is_told() -> None:
    memory = teach(Memory(), refused())
    for other in ({"verb": "get"}, {"key": "pods"}, {"by": "bob"}, {"ref": {"namespace": "other"}}):
        assert denied(memory, wanted(**other)) == (None, None), other
    assert denied(memory, wanted(key="secrets/status")) == (None, None)


def test_after_an_hour_it_is_forgotten() -> None:
    memory = teach(Memory(), refused(), refused(at=3_000))
    assert denied(memory, wanted(at=6_600)) == (3_600, 2)
    assert denied(memory, wanted(at=6_601)) == (None, None)
    teach(memory, refused(at=7_000))
    assert denied(memory, wanted(at=7_001)) == (1, 1)


def test_a_request_that_fails_otherwise_changes_nothing() -> None:
    memory = teach(Memory(), refused(code=404))
    assert denied(memory, wanted()) == (None, None)
    teach(memory, refused(), wanted(at=1, code=404))
    assert denied(memory, wanted()) == (60, 1)


def test_somebody_who_is_impersonated_is_not_the_one_who_impersonates() -> None:
    as_bob: dict[str, Any] = {"impersonatedUser": {"username": "bob"}}
    memory = teach(Memory(), refused(**as_bob))
    assert denied(memory, wanted()) == (None, None)
    assert denied(memory, wanted(by="bob")) == (60, 1)
    assert denied(memory, wanted(**as_bob)) == (60, 1)


def test_a_refused_impersonation_is_no_refusal_of_the_request() -> None:
    one = refused()
    assert one.responseStatus is not None
    one.responseStatus.message = NO
    memory = teach(Memory(), one)
    assert denied(memory, wanted()) == (None, None)
    assert denied(memory, wanted(key="pods", impersonatedUser={"username": "bob"})) == (60, 1)
    teach(memory, wanted(key="pods", impersonatedUser={"username": "bob"}))
    assert denied(memory, wanted(key="pods", impersonatedUser={"username": "bob"})) == (None, None)


def test_nobody_is_remembered_for_bad_credentials() -> None:
    memory = teach(Memory(), refused(code=401, by=""))
    assert memory.sizes()["denied"] == 0


def test_refusals_teach_nothing_else() -> None:
    memory = teach(Memory(), *(refused(at=n * 300, key="pods") for n in range(20)))
    assert {name for name, size in memory.sizes().items() if size} == {"denied"}


def test_spam_does_not_push_out_what_was_refused_five_minutes_ago() -> None:
    memory = Memory()
    table = memory.denied.table
    table.size, table.probation_size, table.room = 8, 4, 40
    teach(memory, refused())
    for number in range(100):
        teach(memory, refused(at=301 + number / 100, by=f"spam-{number}"))
    assert denied(memory, wanted(at=400)) == (400, 1)
    assert len(table) <= 12
    assert table.evicted


def test_whom_it_forgets_it_forgets_whole() -> None:
    memory = Memory()
    table = memory.denied.table
    table.size, table.probation_size = 1, 1
    teach(memory, *(refused(at=number, by=f"user-{number}") for number in range(9)))
    assert len(memory.denied._users) == len(table) == 1
