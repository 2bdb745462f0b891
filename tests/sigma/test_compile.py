"""The compiler: agrees with the plain meaning, keeps rules apart, and cannot be made to compile without end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.event import Event
from detector.sigma import engine, facets, index
from detector.sigma.compile import Compiler
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.facets import OTHER, Vocabulary, resources
from detector.sigma.load import load
from detector.sigma.path import parse
from detector.sigma.predicate import TESTS, And, Atom, Const, Not, Or, Predicate, Since, holds, simplify
from tests.support import event, rule, rule_file

NAMES = (*facets.NAMES, "key", "objectRef.name", "user.groups", "actor.groups")
WORDS = ("get", "list", "pods", "exec", "pods/exec", "secrets", "a", "ab", "b", "allowed", "human", "403", "full", "")

atoms = st.builds(
    lambda name, kind, operands: Atom(parse(name)[-1], kind, tuple(operands)),
    st.sampled_from(NAMES),
    st.sampled_from(["equal", "startswith", "endswith", "contains"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
) | st.builds(
    lambda name, kind: Atom(parse(name)[-1], kind, ()), st.sampled_from(NAMES), st.sampled_from(["null", "exists"])
)
atoms |= st.builds(
    lambda name, patterns, cased: Atom(parse(name)[-1], "re", tuple(patterns), cased=cased),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(["^p", "(?i)S$", "a|b", "(?P<x>e)t", "(?P<x>o)", "^$"]), min_size=1, max_size=3),
    st.booleans(),
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
    agent = draw(st.sampled_from([None, "", "a/1.0 (linux)", "Human", "/"]))
    addresses = draw(st.lists(st.sampled_from(["a", "b", "pods"]), max_size=3) | st.none())
    return event(
        verb=draw(words) or "get",
        objectRef=ref,
        user=user,
        impersonatedUser=other,
        responseStatus=status,
        userAgent=agent,
        sourceIPs=addresses,
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(predicates, min_size=1, max_size=30), requests(), st.integers(0, 2))
def test_programs_agree_with_the_plain_meaning(rules: list[Predicate], subject: Event, now: int) -> None:
    numbered = list(enumerate(rules))
    program = Compiler(numbered).program(Vocabulary(rules).key(subject))
    wanted = [number for number, predicate in numbered if holds(predicate, subject, now)]
    assert (program(subject, now) if program else []) == wanted


@given(st.lists(predicates, min_size=1, max_size=5), requests(), requests())
def test_equal_traits_mean_equal_keys(rules: list[Predicate], one: Event, other: Event) -> None:
    words = Vocabulary(rules)
    assert words.traits(one) == words.traits(one)
    assert words.traits(one) != words.traits(other) or words.key(one) == words.key(other)


@given(predicates, requests())
def test_a_rule_holds_for_no_key_without_a_word_it_needs(predicate: Predicate, subject: Event) -> None:
    key = Vocabulary([predicate]).key(subject)
    if any(key[facet] not in words for facet, words in facets.needs(simplify(predicate))):
        assert not holds(predicate, subject)


@given(predicates, requests(), st.integers(0, 2))
def test_simplifying_changes_nothing(predicate: Predicate, subject: Event, now: int) -> None:
    assert holds(simplify(predicate), subject, now) is holds(predicate, subject, now)


@given(predicates, requests(), st.integers(0, 2))
def test_a_rule_is_filed_under_every_resource_it_can_hold_for(predicate: Predicate, subject: Event, now: int) -> None:
    places = resources(simplify(predicate))
    if places is not None and holds(predicate, subject, now):
        assert subject.objectRef is not None
        assert (subject.objectRef.resource or "").lower() in places


def test_rules_that_begin_alike_share_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def never(item: str) -> bool:
        asked.append(item)
        return False

    monkeypatch.setitem(TESTS, "contains", lambda words: never)
    first, others = {"userAgent|contains": "x"}, [{"requestURI|re": letter} for letter in "abc"]
    documents = [rule(f"r{n}", {"s": {**first, **other}, "condition": "s"}) for n, other in enumerate(others)]
    compiler = Compiler(enumerate(one.predicate for one in load([rule_file(*documents)]).rules))
    program = compiler.program(Vocabulary([]).key(event()))
    assert program is not None
    assert program(event(userAgent="Curl"), 0) == []
    assert asked == ["curl"]


def test_rules_that_are_equal_all_hold() -> None:
    parts = And((Atom(parse("userAgent")[0], "equal", ("a",)), Atom(parse("objectRef.name")[0], "equal", ("b",))))
    program = Compiler([(0, parts), (1, parts.parts[0]), (2, parts)]).program(Vocabulary([]).key(event()))
    assert program is not None
    assert program(event(userAgent="A", objectRef={"name": "b"}), 0) == [0, 1, 2]
    assert program(event(userAgent="A", objectRef={"name": "c"}), 0) == [1]


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
    monkeypatch.setattr(engine, "PROGRAMS", 100)
    monkeypatch.setattr(facets, "ACTORS", 100)
    compiled = Compiled(load([rule_file(rule("read"))]))
    detector = SigmaDetector(compiled)
    for number in range(1000):
        detector.check(event(verb=f"verb-{number}", user={"username": f"user-{number}"}), 0)
    assert len(compiled.programs) <= 100
    assert len(compiled.vocabulary._actors) <= 100
    assert len(compiled._compilers[False].programs) == 1


@pytest.mark.parametrize("attributes", [{"verb": "v" * 300}, {"user": {"username": "u" * 300}}])
def test_long_words_are_not_remembered(attributes: dict[str, Any]) -> None:
    compiled = Compiled(load([rule_file(rule("read"))]))
    SigmaDetector(compiled).check(event(**attributes), 0)
    assert "vvv" not in repr(compiled.programs)
    assert "uuu" not in repr(compiled.vocabulary._actors)
