"""A grant is told at its first use, and at no other."""

from __future__ import annotations

from typing import Any

import pytest

from detector.event import Event
from detector.fields.memory_grants import REASON
from detector.memory import Memory
from tests.memory.teaching import binding, request, teach, told

EVE, ROBOT, DEVS = ("User", "eve"), ("ServiceAccount", "prod/robot"), ("Group", "devs")


def gives(*subjects: tuple[str, str], kind: str = "ClusterRoleBinding", verb: str = "create", **more: Any) -> Event:
    more.setdefault("response", binding(kind, "b", ("ClusterRole", "edit"), *subjects))
    return request(verb, f"{kind.lower()}s", "b", by="mallory", **more)


def used(to: str = 'User "eve"', what: str = 'ClusterRoleBinding "b"', at: float = 60, **more: Any) -> Event:
    reason = f'RBAC: allowed by {what} of ClusterRole "edit" to {to}'
    return request("list", "secrets", by="eve", at=at, annotations={REASON: reason}, **more)


def grant(memory: Memory, one: Event) -> tuple[Any, Any]:
    return told(memory, "grant.age", one), told(memory, "grant.by", one)


def test_the_first_use_of_a_grant_is_told_with_its_age_and_its_giver() -> None:
    memory = teach(Memory(), gives(EVE))
    assert grant(memory, used()) == (60, "mallory")
    teach(memory, used())
    assert grant(memory, used(at=61)) == (None, None)


@pytest.mark.parametrize(
    ("subject", "kind", "reason"),
    [
        (DEVS, "ClusterRoleBinding", used('Group "devs"')),
        (ROBOT, "ClusterRoleBinding", used('ServiceAccount "robot/prod"')),
        (EVE, "RoleBinding", used(what='RoleBinding "b/prod"')),
        (("User", 'e"v\\e'), "ClusterRoleBinding", used('User "e\\"v\\\\e"')),
    ],
)
def test_the_authorizer_names_who_was_given_what(subject: tuple[str, str], kind: str, reason: Event) -> None:
    assert grant(teach(Memory(), gives(subject, kind=kind)), reason)[1] == "mallory"


def test_only_those_who_were_added_were_given_something() -> None:
    memory = teach(Memory(), gives(EVE), used(), gives(EVE, DEVS, verb="update", at=70))
    assert grant(memory, used(at=80)) == (None, None)
    assert grant(memory, used('Group "devs"', at=80)) == (10, "mallory")


def test_a_patch_of_an_unknown_binding_gives_what_it_adds() -> None:
    added = {"op": "add", "path": "/subjects/-", "value": {"kind": "User", "name": "eve"}}
    whole = binding("ClusterRoleBinding", "b", ("ClusterRole", "edit"), DEVS, EVE)
    memory = teach(Memory(), gives(verb="patch", request=[added], response=whole))
    assert grant(memory, used())[1] == "mallory"
    assert grant(memory, used('Group "devs"')) == (None, None)
    merged = teach(Memory(), gives(verb="patch", request={"subjects": whole["subjects"]}, response=whole))
    assert grant(merged, used()) == (None, None)


def test_what_another_binding_allows_is_no_use_of_this_one() -> None:
    memory = teach(Memory(), gives(EVE))
    assert grant(memory, used(what='ClusterRoleBinding "old"')) == (None, None)
    assert grant(memory, request("list", "secrets", by="eve", at=60)) == (None, None)


def test_a_binding_that_was_refused_gives_nothing() -> None:
    assert grant(teach(Memory(), gives(EVE, code=403)), used()) == (None, None)
