"""The detector: what a finding says, stages, exceptions to rules, and rules that fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from detector.event import Event
from detector.finding import Finding, Level
from detector.sigma import engine, predicate
from detector.sigma.compile import Compiler
from detector.sigma.engine import ALL, Compiled, SigmaDetector
from detector.sigma.load import load
from tests.support import correlation, event, rule, rule_file, secret

EXEC = rule("exec", {"s": {"key": "pods/exec"}, "condition": "s"}, level="high")


def detector(*documents: dict[str, Any]) -> SigmaDetector:
    return SigmaDetector(Compiled(load([rule_file(*documents)])))


def check(to: SigmaDetector, one: Event) -> list[Finding]:
    return to.check(one, one.time or 0)


def test_a_finding_says_who_what_where_and_why() -> None:
    extras: dict[str, Any] = {"redshank": {"answers": ["secret-get"]}, "level": "high"}
    (found,) = check(detector(rule("read", **extras)), secret(7, sourceIPs=["203.0.113.9", "192.0.2.10"]))
    assert (found.title, found.level, found.audit_id) == ("read", Level.high, "test-7")
    assert (found.actor, found.actor_kind, found.source) == ("jane@example.com", "human", "192.0.2.10")
    assert (found.target, found.answers) == ("prod/secrets/db", ("secret-get",))
    assert [(why.selection, why.field, why.value) for why in found.reasons] == [
        ("sel", "objectRef.resource", "secrets"),
        ("sel", "verb", "get"),
    ]


def test_ids_stand_for_event_and_rule() -> None:
    def ids(one: Event) -> list[str]:
        return [found.id for found in check(detector(rule("read"), rule("other")), one)]

    assert ids(secret(1)) == ids(secret(1))
    assert len({*ids(secret(1)), *ids(secret(2))}) == 4


def stages(*names: str) -> list[Event]:
    received = {"requestReceivedTimestamp": "2026-01-01T00:00:00Z", "auditID": "one"}
    exec_: dict[str, Any] = {"objectRef": {"resource": "pods", "subresource": "exec", "name": "p"}, **received}
    return [event(at=3600 * number, stage=name, **exec_) for number, name in enumerate(names)]


def test_the_end_of_a_long_request_is_not_a_second_finding() -> None:
    one = detector(EXEC)
    assert [len(check(one, stage)) for stage in stages("ResponseStarted", "ResponseComplete")] == [1, 0]


def test_one_stage_alone_is_enough() -> None:
    assert check(detector(EXEC), stages("ResponseStarted")[0])
    assert check(detector(EXEC), stages("ResponseComplete")[0])


def test_requests_that_were_only_received_concern_rules_that_name_the_stage() -> None:
    staged = rule("staged", {"s": {"key": "pods/exec", "stage": "RequestReceived"}, "condition": "s"})
    found = check(detector(EXEC, staged), stages("RequestReceived")[0])
    assert [each.title for each in found] == ["staged"]


def test_a_filter_silences_what_it_names_until_it_expires() -> None:
    exemption = {
        "title": "backup",
        "logsource": {"product": "kubernetes", "service": "audit"},
        "filter": {"rules": ["read"], "backup": {"user.username": "jane@example.com"}, "condition": "not backup"},
        "redshank": {"owner": "sre", "reason": "nightly backup", "expires": "2024-10-05"},
    }
    one = detector(rule("read"), rule("other"), exemption)
    day = 86_400
    assert [found.title for found in check(one, secret(1))] == ["other"]
    assert [found.title for found in check(one, secret(2, user={"username": "eve"}))] == ["read", "other"]
    assert [found.title for found in check(one, secret(3, at=4 * day))] == ["read", "other"]
    assert one.silenced == {"backup": 1}


def test_a_filter_without_names_is_for_all_rules_and_filters_base_rules() -> None:
    exemption = {
        "title": "all",
        "logsource": {"product": "kubernetes", "service": "audit"},
        "filter": {"rules": "any", "jane": {"actor": "jane@example.com"}, "condition": "not jane"},
    }
    assert not check(detector(rule("read"), rule("other"), exemption), secret(1))


def test_a_correlation_that_is_off_does_not_silence_its_base_rule() -> None:
    off = {**correlation("off", "event_count", ["read"], {"gte": 3}), "redshank": {"pack": "hunting"}}
    assert [found.title for found in check(detector(rule("read"), off), secret())] == ["read"]


def test_a_rule_shows_the_fields_it_names_when_they_have_a_value() -> None:
    showing = rule("read", fields=["userAgent", "exec.command", "field.of.another.product"])
    (found,) = check(detector(showing), secret(1, userAgent="curl/8"))
    assert [str(why) for why in found.reasons if why.selection == "shown"] == ["userAgent = curl/8"]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make every ``contains`` test raise."""

    def contains(operands: tuple[Any, ...]) -> Any:
        def test(item: str) -> bool:
            raise ArithmeticError(operands)

        return test

    monkeypatch.setitem(predicate.TESTS, "contains", contains)
    predicate._ready.cache_clear()
    yield
    predicate._ready.cache_clear()


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(("level", "told"), [("high", ["bad", "good"]), ("medium", ["good"])])
def test_a_rule_that_raises_costs_no_other_and_is_told_when_it_matters(level: str, told: list[str]) -> None:
    bad = rule("bad", {"s": {"objectRef.name|contains": "x"}, "condition": "s"}, level=level)
    one = detector(bad, rule("good"))
    for number in range(3):
        assert [found.title for found in check(one, secret(number))] == told
    identity = one.rules[0].info.id
    assert one.failures == {identity: 3, ALL: 3}


def test_rules_that_cannot_be_made_a_program_are_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one = detector(rule("good"))
    monkeypatch.setattr(Compiler, "program", lambda self, key: key.impossible)
    assert [found.title for found in check(one, secret())] == ["good"]
    assert one.failures == {ALL: 1}


def test_packs_choose_what_alerts() -> None:
    hunting = rule("hunting", redshank={"pack": "hunting"})
    assert [found.title for found in check(detector(rule("read"), hunting), secret())] == ["read"]
    both = SigmaDetector(Compiled(load([rule_file(rule("read"), hunting)], packs=("hunting",))))
    assert [found.title for found in check(both, secret())] == ["hunting"]


def test_the_table_of_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "REQUESTS", 100)
    one = detector(rule("read"))
    for number in range(1000):
        check(one, secret(number))
    assert len(one._requests) <= 125


def test_clusters_share_the_programs_of_their_rules_and_nothing_else() -> None:
    many = correlation("many", "event_count", ["base"], {"gte": 2})
    base = rule("base", name="base")
    compiled = Compiled(load([rule_file(EXEC, base, many)]))
    one, other = SigmaDetector(compiled), SigmaDetector(compiled)
    assert [len(check(one, stage)) for stage in stages("ResponseStarted", "ResponseComplete")] == [1, 0]
    made = dict(compiled.programs)
    assert [len(check(other, stage)) for stage in stages("ResponseStarted", "ResponseComplete")] == [1, 0]
    assert compiled.programs == made
    assert [check(one, secret(1)), check(other, secret(2))] == [[], []]
    assert [found.title for found in check(one, secret(3))] == ["many"]
    assert not other.failures | other.silenced
    assert len(other.correlators[0].windows) == 1
