"""What holds of every subject: spam changes no fact, a restored memory knows the same, no event makes it fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.event import Event
from detector.fields import all_fields
from detector.finding import Alert
from detector.fold import Fold
from detector.memory import Memory
from detector.memory.table import SETTLED
from detector.record import Record
from tests.contracts.test_fields import decode, events, has_shape, is_json
from tests.memory.teaching import CLOSED, OPEN, binding, pod, request, role, teach, told, workload
from tests.memory.test_grants import used
from tests.memory.test_objects import approval, csr, hooked
from tests.memory.test_tokens import seen
from tests.support import batch, fold_with, rule

HOUR = SETTLED / 1e6
FIELDS = {name: field for name, field in all_fields().items() if name.startswith("memory.")}
KNOWN = "known"

Maker = Callable[[str, float], list[Event]]


def _create(resource: str, name: str, at: float, body: dict[str, Any] | None) -> list[Event]:
    return [request("create", resource, name, at=at, by="mallory", **({"response": body} if body else {}))]


def _binding(name: str, at: float) -> list[Event]:
    body = binding("ClusterRoleBinding", name, ("ClusterRole", "edit"), ("User", name))
    return _create("clusterrolebindings", name, at, body)


def _namespace(name: str, at: float) -> list[Event]:
    return _create("namespaces", name, at, {"kind": "Namespace", "metadata": {"name": name}})


def _identity(name: str, at: float) -> list[Event]:
    return [csr(name, name, at), approval(name, at + 0.001)]


MAKERS: dict[str, Maker] = {
    "pods": lambda name, at: _create("pods", name, at, pod(name, OPEN)),
    "workloads": lambda name, at: _create("deployments", name, at, workload("Deployment", name, CLOSED)),
    "roles": lambda name, at: _create("clusterroles", name, at, role("ClusterRole", name, ("*", "*", "*"))),
    "bindings": _binding,
    "grants": _binding,
    "namespaces": _namespace,
    "hooks": lambda name, at: [hooked("https://hook.example", ref={"name": name}, at=at)],
    "certificates": lambda name, at: _create("certificatesigningrequests", name, at, None),
    "issued": _identity,
    "holders": lambda name, at: [seen(name, at, pod=name)],
    "addresses": lambda name, at: [seen(name, at, by=f"system:node:{name}"), seen("home", at, pod=f"pod-{name}")],
    "nodes": lambda name, at: [seen(name, at, by=f"system:node:{name}")],
    "identities": lambda name, at: [seen(name, at, by=name)],
    "days": lambda name, at: [request("get", "secrets", "db", by=name, at=at)],
    "audit": lambda name, at: [seen(name, at, by=name)],
}
"""What makes a new name of each table known."""
ASKED: dict[str, tuple[str, Callable[[float], Event]]] = {
    "pods": ("target.pod.privileged", lambda at: request("get", "pods/exec", KNOWN, at=at)),
    "workloads": ("object.created_by", lambda at: request("delete", "deployments", KNOWN, at=at)),
    "roles": ("object.risky", lambda at: request("delete", "clusterroles", KNOWN, at=at)),
    "bindings": ("actor.power", lambda at: request("list", "pods", by=KNOWN, at=at)),
    "grants": ("grant.by", lambda at: used(f'User "{KNOWN}"', f'ClusterRoleBinding "{KNOWN}"', at)),
    "namespaces": ("namespace.pod_security.enforce", lambda at: request("delete", "namespaces", KNOWN, at=at)),
    "hooks": ("webhook.target_before", lambda at: request("delete", "mutatingwebhookconfigurations", KNOWN, at=at)),
    "certificates": ("csr.requester", lambda at: approval(KNOWN, at)),
    "issued": ("identity.from_csr", lambda at: request("list", "pods", by=KNOWN, at=at)),
    "holders": ("token.other_source", lambda at: seen("elsewhere", at, pod=KNOWN)),
    "addresses": ("token.other_node", lambda at: seen(KNOWN, at, pod=f"pod-{KNOWN}", node="another")),
    "nodes": ("node.other_source", lambda at: seen("elsewhere", at, by=f"system:node:{KNOWN}")),
    "identities": ("actor.groups_added", lambda at: seen(KNOWN, at, by=KNOWN, groups=["admins"])),
    "days": ("actor.secrets_today", lambda at: seen(KNOWN, at, by=KNOWN)),
    "audit": ("audit.level_before", lambda at: seen(KNOWN, at, by=KNOWN)),
}
"""A field, and an event about the name that was known first."""


def small() -> Memory:
    """Make a memory whose tables hold so little that a test fills them."""
    memory = Memory()
    for _, table in memory.tables():
        table.size, table.probation_size, table.room = 8, 4, 40
    return memory


def test_every_table_is_tried() -> None:
    own = {"denied"}  # has a test of its own, as only refusals fill it
    assert sorted({name for name, _ in Memory().tables()} - own) == sorted(MAKERS) == sorted(ASKED)


@pytest.mark.parametrize("table", MAKERS)
@pytest.mark.parametrize("denied", [True, False], ids=["denied", "allowed"])
def test_spam_changes_no_fact(table: str, denied: bool) -> None:
    make, (field, ask) = MAKERS[table], ASKED[table]
    memory = teach(small(), *make(KNOWN, 0))
    wanted = told(memory, field, ask(HOUR + 99))
    assert wanted
    for number in range(100):
        for one in make(f"spam-{number}", HOUR + 1 + number / 100):
            assert one.responseStatus is not None
            one.responseStatus.code = 403 if denied else 200
            teach(memory, one)
    assert told(memory, field, ask(HOUR + 99)) == wanted
    assert all(len(one) <= 12 for _, one in memory.tables())
    assert memory.evicted > 0 or denied


def test_what_was_heard_of_twice_is_established_at_once() -> None:
    memory = teach(small(), *MAKERS["pods"](KNOWN, 0), request("create", "pods/binding", KNOWN, at=0.1))
    for number in range(100):
        teach(memory, *MAKERS["pods"](f"spam-{number}", 0.2))
    assert told(memory, *ASKED["pods"][:1], ASKED["pods"][1](1)) is True


names = st.sampled_from(["a", "b", "c"])
acts = st.tuples(st.sampled_from(sorted(MAKERS)), names, st.sampled_from(["make", "ask", "delete"]))
steps = st.lists(acts, max_size=30)
DELETED = {
    "pods": "pods",
    "workloads": "deployments",
    "roles": "clusterroles",
    "bindings": "clusterrolebindings",
    "namespaces": "namespaces",
}
RULES = [
    rule(f"{field} is known", {"sel": {f"memory.{field}|exists": True}, "condition": "sel"})
    for field in sorted({field for field, _ in ASKED.values()} | {"object.age"})
]


def stream(chosen: list[tuple[str, str, str]]) -> list[Event]:
    """Give the events of some steps, one a second."""
    found: list[Event] = []
    for number, (table, name, step) in enumerate(chosen):
        if step == "make":
            found += MAKERS[table](name, number)
        elif step == "ask":
            found.append(msgspec.structs.replace(ASKED[table][1](number)))
        else:
            found.append(request("delete", DELETED.get(table, "pods"), name, at=number, response={"kind": "Status"}))
    return found


def log_of(chosen: list[tuple[str, str, str]]) -> list[Record]:
    """Give some steps as a log; each time anew, as events remember what was worked out of them."""
    return [Record(1 + number, batch(one)) for number, one in enumerate(stream(chosen))]


def run(fold: Fold, records: list[Record]) -> list[Alert]:
    return [alert for record in records for alert in fold.fold(record).alerts]


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 40))
def test_a_restored_memory_goes_on_as_if_nothing_had_been(chosen: list[tuple[str, str, str]], cut: int) -> None:
    straight, broken = fold_with(*RULES), fold_with(*RULES)
    wanted, log = run(straight, log_of(chosen)), log_of(chosen)
    alerts = run(broken, log[:cut])
    broken = Fold.restore(broken.snapshot())
    assert alerts + run(broken, log[cut:]) == wanted
    assert broken.snapshot() == straight.snapshot()


SPAN = 300
USUAL: dict[str, Any] = {"by": "alice", "verb": "get", "at": 0, "pod": None, "source": "8.8.8.8"}
USUAL |= {"agent": "a (linux/amd64)", "impersonated": None, "level": "Metadata", "code": 200}
OTHER: list[dict[str, Any]] = [
    {},
    {"level": "Request"},
    {"level": "RequestResponse"},
    {"by": "system:node:n1"},
    {"by": "system:node:n1", "pod": "p1"},
    {"at": 1, "source": "9.9.9.9"},
    {"at": 30 * SPAN},
    {"at": 86_400, "impersonated": "carol"},
    {"verb": "list", "agent": "a (darwin/arm64)"},
    {"code": 403},
]
acting = st.sampled_from([{**USUAL, **one} for one in OTHER])
"""Few events, so that many are sightings met before."""


def _done(by: str, verb: str, at: float, **more: Any) -> Event:
    extra = {"authentication.kubernetes.io/pod-uid": [more["pod"]]} if more["pod"] else {}
    other = {"impersonatedUser": {"username": more["impersonated"]}} if more["impersonated"] else {}
    seen_as = {"sourceIPs": [more["source"]], "userAgent": more["agent"], "level": more["level"], "code": more["code"]}
    return request(verb, "secrets", "db", by=by, at=at, user={"extra": extra}, **seen_as, **other)


@settings(max_examples=60, deadline=None)
@given(st.lists(acting, min_size=3, max_size=25), st.booleans())
def test_it_makes_no_difference_what_is_remembered_of_sightings(chosen: list[dict[str, Any]], narrow: bool) -> None:
    straight, forgetful = (small(), small()) if narrow else (Memory(), Memory())
    for one in chosen:
        forgetful._sightings.forget()
        known = [{name: told(memory, name.removeprefix("memory."), _done(**one)) for name in FIELDS}
                 for memory in (straight, forgetful)]  # fmt: skip
        assert {**known[0], "memory.unseen": None} == {**known[1], "memory.unseen": None}
        teach(straight, _done(**one))
        forgetful._sightings.forget()
        teach(forgetful, _done(**one))
    assert straight.dump() == forgetful.dump()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(events, max_size=4))
def test_no_event_makes_memory_fail_or_lie_about_its_shapes(records: list[dict[str, Any]]) -> None:
    memory = Memory()
    for record in records:
        teach(memory, decode({**record, "responseStatus": {"code": 200}, "annotations": None}))
    memory.load(msgspec.msgpack.decode(msgspec.msgpack.encode(memory.dump())))
    for record in records:
        one = decode(record)
        memory.look(one, 0)
        for name, field in FIELDS.items():
            value = field(one)
            assert is_json(value), name
            assert value is None or has_shape(value, field.shape), (name, value)
