"""What memory knows of the log itself."""

from __future__ import annotations

from typing import Any

from detector.event import Event
from detector.memory import Memory
from detector.memory.audit import RECENT
from tests.memory.teaching import request, teach, told


def one(name: str = "a-1", verb: str = "get", at: float = 0, **more: Any) -> Event:
    return request(verb, "secrets", "db", auditID=name, at=at, **more)


def reused(memory: Memory, event: Event) -> Any:
    return told(memory, "audit_id.reused", event)


def test_another_request_with_the_same_audit_id_is_told() -> None:
    memory = teach(Memory(), one())
    assert reused(memory, one(verb="list")) is True
    assert reused(memory, one(by="bob")) is True
    assert reused(memory, one(requestURI="/api/v1/other")) is True
    assert reused(memory, one(name="a-2", verb="list")) is None


def test_stages_of_one_request_share_their_audit_id() -> None:
    memory = teach(Memory(), one(stage="ResponseStarted"))
    assert reused(memory, one(stage="ResponseComplete", at=9)) is None


def test_a_denied_request_counts_too_and_one_without_an_audit_id_tells_nothing() -> None:
    memory = teach(Memory(), one(code=403), one(name=""))
    assert reused(memory, one(verb="list")) is True
    assert reused(memory, one(name="", verb="list")) is None


def test_long_audit_ids_are_told_apart() -> None:
    memory = teach(Memory(), one(name="x" * 5_000 + "a"))
    assert reused(memory, one(name="x" * 5_000 + "b", verb="list")) is None
    assert reused(memory, one(name="x" * 5_000 + "a", verb="list")) is True


def test_audit_ids_are_remembered_for_a_while_and_not_for_ever() -> None:
    memory = teach(Memory(), one())
    for number in range(RECENT - 1):
        memory.audit.watch(one(name=f"b-{number}"), 0)
    assert reused(memory, one(verb="list")) is True
    for number in range(2 * RECENT):
        memory.audit.watch(one(name=f"c-{number}"), 0)
    assert reused(memory, one(verb="list")) is None
    assert len(memory.audit._recent) + len(memory.audit._older) <= 2 * RECENT


def test_the_first_request_keeps_its_audit_id() -> None:
    memory = teach(Memory(), one(), one(verb="list"))
    assert reused(memory, one()) is None
    restored = Memory()
    restored.load(memory.dump())
    assert reused(restored, one(verb="list")) is True


def level(memory: Memory, value: str, **more: Any) -> tuple[Any, Any]:
    event = one(at=9, level=value, **more)
    return told(memory, "audit.level_before", event), told(memory, "audit.level_dropped", event)


def test_less_detail_than_before_is_told_once() -> None:
    memory = teach(Memory(), one(level="RequestResponse"))
    assert level(memory, "RequestResponse") == ("RequestResponse", None)
    assert level(memory, "Metadata") == ("RequestResponse", True)
    teach(memory, one(level="Metadata"))
    assert level(memory, "Metadata") == ("RequestResponse", None)
    assert level(memory, "Request") == ("RequestResponse", True)


def test_more_detail_is_what_counts_from_then_on() -> None:
    memory = teach(Memory(), one(level="Request"), one(level="RequestResponse", at=1))
    assert level(memory, "Metadata") == ("RequestResponse", True)
    assert level(memory, "Request") == ("RequestResponse", None)


def test_only_the_same_kind_of_request_says_anything() -> None:
    memory = teach(Memory(), one(level="RequestResponse"))
    for other in ({"verb": "list"}, {"by": "bob"}, {"ref": {"namespace": "other"}}, {"code": 403}):
        assert level(memory, "Metadata", **other) == (None, None), other
    assert level(memory, "Odd") == ("RequestResponse", None)
