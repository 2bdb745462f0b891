"""Messages: what happened, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.finding import Alert
from detector.pipeline import rule_files
from detector.sigma.explain import shown
from detector.sigma.load import load
from detector.sigma.message import LONGEST, pieces, sentence
from detector.sigma.rule import PACKS
from tests.support import batch, correlation, event, fold_with, rule, secret

REF = {"resource": "secrets", "namespace": "prod", "name": "db"}
EXEC = {"resource": "pods", "namespace": "prod", "name": "web", "subresource": "exec"}


def test_names_in_braces_are_derived_fields_and_paths() -> None:
    said = sentence("{actor} saw {objectRef.name} by {annotations.authorization.k8s.io/decision}", secret())
    assert said == "jane@example.com saw db by allow"


def test_what_an_event_does_not_have_is_a_question_mark() -> None:
    assert sentence("{actor} ran {exec.command}", event(user={})) == "? ran ?"


def test_of_many_values_the_first_are_named() -> None:
    groups = [f"g{number}" for number in range(5)]
    said = sentence("{user.groups}", event(user={"username": "x", "groups": groups}))
    assert said == "g0, g1, g2 and 2 more"


def test_braces_written_twice_stay() -> None:
    assert sentence("{{x}} {verb}", event()) == "{x} get"


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, "jane@example.com read prod/secrets/db"),
        ({"verb": "deletecollection"}, "jane@example.com deleted all of prod/secrets/db"),
        ({"verb": "frob"}, "jane@example.com did frob prod/secrets/db"),
        ({"objectRef": EXEC, "verb": "create"}, "jane@example.com connected to prod/pods/web/exec"),
        ({"responseStatus": {"code": 403}}, "jane@example.com was not allowed to get prod/secrets/db"),
        ({"responseStatus": {"code": 404}}, "jane@example.com failed to get prod/secrets/db"),
        ({"responseStatus": None}, "jane@example.com asked to get prod/secrets/db"),
        ({"responseStatus": None, "verb": None, "user": None}, "? asked to ? prod/secrets/db"),
    ],
)
def test_without_a_message_it_is_who_did_what_to_what(attributes: dict[str, Any], said: str) -> None:
    about = {"objectRef": REF, "annotations": None, **attributes}
    assert sentence("", event(**about)) == said


@pytest.mark.parametrize("template", ["{actor", "actor}", "{}", "{actr}", "{actor!r}", "{actor:>9}", "{user[groups]}"])
def test_a_message_that_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        pieces(template)


def test_values_hold_no_tokens_and_have_a_bound() -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl"
    assert token not in sentence("{userAgent}", event(userAgent=f"x {token}"))
    long = sentence("{userAgent} {userAgent} {userAgent}", event(userAgent="x" * 1000))
    assert len(long) == LONGEST
    assert long.endswith("…")


@given(st.text())
def test_no_text_of_a_client_is_read_as_a_template(name: str) -> None:
    assert sentence("{objectRef.name}", event(objectRef={"name": name})) == (shown(name) or "?")
    assert sentence("", event(objectRef={"name": name}, user={"username": "{verb}"})).startswith("{verb} read ")


def test_a_value_that_cannot_be_written_costs_no_finding() -> None:
    deep: Any = None
    for _ in range(90):
        deep = {"x": deep}
    one = event(requestObject={"spec": deep})
    loop: dict[str, Any] = {}
    loop["self"] = loop
    one.__dict__["request"] = {"spec": loop}
    assert sentence("{requestObject.spec} {verb}", one) == "? get"


def alerts(*documents: dict[str, Any]) -> list[Alert]:
    from detector.record import Record

    fold = fold_with(*documents)
    told = fold.fold(Record(1, batch(*(secret(number, at=number, name=f"db-{number}") for number in range(3))))).alerts
    return told + fold.finish()


def test_findings_and_alerts_say_what_happened_first() -> None:
    told = alerts(rule("Read", redshank={"message": "{actor} read {objectRef.name}"}))
    assert {alert.message for alert in told} == {"jane@example.com read db-0"}
    assert told[-1].rule.message == "{actor} read {objectRef.name}"


def test_a_correlation_speaks_of_the_event_that_crossed() -> None:
    base = rule("Read", redshank={"pack": "hunting"})
    count = correlation("Many", "event_count", ["Read"], {"gte": 2})
    assert alerts(base, count)[0].message == "jane@example.com read prod/secrets/db-1, the last of 2 events"
    assert alerts(base, {**count, "redshank": {"message": "{actor} reads"}})[0].message == "jane@example.com reads"


def test_every_shipped_rule_says_what_happened() -> None:
    infos = load(rule_files(), PACKS).infos()
    assert [info.title for info in infos if not info.message] == []
