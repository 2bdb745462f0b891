"""The compiler: agrees with the plain meaning, keeps rules apart, and cannot be made to compile without end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.event import Event
from detector.sigma import compile as compiling
from detector.sigma import engine, facets, index
from detector.sigma.compile import Compiler
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.facets import OTHER, Vocabulary, resources
from detector.sigma.load import load
from detector.sigma.path import parse
from detector.sigma.predicate import And, Atom, Const, Not, Or, Predicate, Since, holds, simplify
from tests.support import event, rule, rule_file

NAMES = (*facets.NAMES, "key", "objectRef.name", "user.groups")
WORDS = ("get", "list", "pods", "exec", "pods/exec", "secrets", "a", "ab", "b", "allowed", "human", "403", "full", "")

atoms = st.builds(
    lambda name, kind, operands: Atom(parse(name)[-1], kind, tuple(operands)),
    st.sampled_from(NAMES),
    st.sampled_from(["equal", "startswith", "endswith", "contains"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
) | st.builds(
    lambda name, kind: Atom(parse(name)[-1], kind, ()), st.sampled_from(NAMES), st.sampled_from(["null", "exists"])
)
predicates = st.recursive(
    atoms | st.builds(Since, st.integers(0, 2)) | st.builds(Const, st.booleans()),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda parts: And(tuple(parts)), st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=8,
)
words = st.sampled_from((*WORDS, "GET", "Pods", "zzz")) | st.none()


@st.composite
def requests(draw: st.DrawFn) -> Event:
    ref = {key: draw(words) for key in ("resource", "subresource", "name")} if draw(st.booleans()) else None
    user = {
        "username": draw(st.sampled_from(["x", "", "system:anonymous"])),
        "groups": draw(st.lists(words, max_size=3)),
    }
    other = {"username": "y"} if draw(st.booleans()) else None
    status = draw(st.none() | st.fixed_dictionaries({"code": st.sampled_from([200, 401, 403, 500])}))
    return event(verb=draw(words) or "get", objectRef=ref, user=user, impersonatedUser=other, responseStatus=status)


@settings(max_examples=300, deadline=None)
@given(st.lists(predicates, min_size=1, max_size=30), requests(), st.integers(0, 2))
def test_programs_agree_with_the_plain_meaning(rules: list[Predicate], subject: Event, now: int) -> None:
    numbered = list(enumerate(rules))
    program = Compiler(numbered).program(Vocabulary(rules).key(subject))
    wanted = [number for number, predicate in numbered if holds(predicate, subject, now)]
    for _ in range(compiling.WARM + 1):  # first by closures, then by a generated function
        assert (program(subject, now) if program else []) == wanted


@given(predicates, requests(), st.integers(0, 2))
def test_simplifying_changes_nothing(predicate: Predicate, subject: Event, now: int) -> None:
    assert holds(simplify(predicate), subject, now) is holds(predicate, subject, now)


@given(predicates, requests(), st.integers(0, 2))
def test_a_rule_is_filed_under_every_resource_it_can_hold_for(predicate: Predicate, subject: Event, now: int) -> None:
    places = resources(simplify(predicate))
    if places is not None and holds(predicate, subject, now):
        assert subject.objectRef is not None
        assert (subject.objectRef.resource or "").lower() in places


@pytest.mark.parametrize("kind", ["equal", "startswith", "endswith", "contains"])
def test_many_rules_on_one_field_are_found_by_its_value(kind: str) -> None:
    number = 5 * index.WORTH
    modifier = "" if kind == "equal" else f"|{kind}"
    documents = [
        rule(f"r{n}", {"s": {f"userAgent{modifier}": f"agent-{n:03}"}, "condition": "s"}) for n in range(number)
    ]
    rules = load([rule_file(*documents)]).rules
    compiler = Compiler(list(enumerate(one.predicate for one in rules)))
    program = compiler.program(("get", *[None] * (len(facets.NAMES) - 1)))
    assert program is not None
    assert compiler.indexes
    assert program(event(userAgent="Agent-007"), 0) == [7]
    assert program(event(userAgent="agent-x"), 0) == program(event(userAgent=None), 0) == []


def test_unknown_verbs_and_resources_are_one_key() -> None:
    rules = load([rule_file(rule("read"))]).rules
    words = Vocabulary(one.predicate for one in rules)
    keys = {
        words.key(event(verb=f"v{n}", objectRef={"resource": f"r{n}", "subresource": f"s{n}"}))[:3] for n in range(9)
    }
    assert keys == {(OTHER, OTHER, OTHER)}
    assert words.key(event(verb="GET", objectRef={"resource": "Secrets"}))[:3] == ("get", "secrets", None)


def test_invented_words_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Compiled(load([rule_file(rule("read"))]))
    detector = SigmaDetector(compiled)
    for number in range(10_000):
        detector.check(event(verb=f"verb-{number}"), 0)
    assert len(compiled.vocabulary.words[0]) <= 4096
    assert len(compiled.programs) == 1
    monkeypatch.setattr(engine, "PROGRAMS", 1)
    detector.check(event(verb="get"), 0)
    assert len(compiled.programs) == 1


def test_values_of_rules_are_never_part_of_generated_source() -> None:
    hostile = "'); import os; raise SystemExit(('"
    detection: dict[str, Any] = {"s": {"userAgent": hostile, f"annotations.{hostile}": hostile}, "condition": "s"}
    detector = SigmaDetector(Compiled(load([rule_file(rule("hostile", detection))])))
    hostiles = [event(n, userAgent=hostile, annotations={hostile: hostile}) for n in range(compiling.WARM + 2)]
    assert [len(detector.check(one, 0)) for one in hostiles] == [1] * len(hostiles)
