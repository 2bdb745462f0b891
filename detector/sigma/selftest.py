"""Running the tests inside rules: the events of ``redshank: tests:`` against the rule that holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import orjson

from detector.errors import RuleError
from detector.event import EPOCH, Event
from detector.fields.facts import Memory
from detector.finding import Finding
from detector.formats import decode_event
from detector.sigma.document import Loaded
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.load import RuleSet, assemble
from detector.sigma.rule import PACKS, Events, Exemption, Rule

START = EPOCH + timedelta(days=20_000)
"""The time of the first event of every test."""
NEAR_MISSES = 2
"""So many negative tests a rule must have."""
DEFAULTS: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "RequestResponse",
    "stage": "ResponseComplete",
    "verb": "get",
    "requestURI": "/",
    "user": {"username": "jane@example.com", "groups": ["system:authenticated"]},
    "sourceIPs": ["192.0.2.10"],
    "userAgent": "kubectl/v1.36.0 (linux/amd64) kubernetes/0000000",
    "responseStatus": {"metadata": {}, "code": 200},
    "annotations": {"authorization.k8s.io/decision": "allow"},
}
"""What a test event has unless it says otherwise; a key that it sets to null is left out."""


class Result(msgspec.Struct, frozen=True):
    """The outcome of one test of one rule."""

    rule: str
    test: str
    passed: bool
    error: RuleError | None = None


def run(loaded: list[Loaded], memory: Callable[[], Memory] | None = None) -> Iterator[Result]:
    """Run every test of every rule and correlation, each rule by itself, without filters.

    ``memory`` makes the memory of each test; without one nothing is known (null).
    """
    without = [one for one in loaded if not isinstance(one.made, Exemption)]
    rules = assemble(without, PACKS)
    for one in without:
        yield from _run_one(one, rules, memory)


def _run_one(one: Loaded, rules: RuleSet, memory: Callable[[], Memory] | None) -> Iterator[Result]:
    alone = isolated(one, rules)
    for kind, wanted in (("match", True), ("ignore", False)):
        for number, test in enumerate(getattr(one.extras.tests, kind), start=1):
            fired = any(found.rule_id == one.id for found in findings(alone, test, memory and memory()))
            name = f"{kind} {number}" + (f" ({test.name})" if test.name else "")
            yield _result(one, name, fired is wanted, "fires" if fired else "does not fire")


def _result(one: Loaded, name: str, passed: bool, what: str) -> Result:
    title = str(one.document.data.get("title"))
    error = None if passed else one.document.error(f"{title}: test {name}: the rule {what}", ["redshank", "tests"])
    return Result(title, name, passed, error)


def isolated(one: Loaded, rules: RuleSet) -> RuleSet:
    """Give a rule set of one rule, or of one correlation with the rules it counts."""
    for correlation in rules.correlations:
        if one.id == correlation.info.id:
            bases = [_alerting(rule, alerts=False) for rule in rules.rules if rule.info.id in correlation.bases]
            return RuleSet(tuple(bases), (correlation,), (), ())
    return RuleSet((_alerting(one.made, alerts=True),), (), (), ())


def _alerting(rule: Rule, *, alerts: bool) -> Rule:
    return msgspec.structs.replace(rule, alerts=alerts)


def findings(rules: RuleSet, test: Events, memory: Memory | None = None) -> list[Finding]:
    """Send a test's events to a fresh detector; gives all findings."""
    detector = SigmaDetector(Compiled(rules))
    found: list[Finding] = []
    for event in events(test):
        now = event.time or 0
        if memory is not None:
            memory.look(event, now)
        found.extend(detector.check(event, now))
        if memory is not None:
            memory.learn(event, now)
    return found


def events(test: Events) -> Iterator[Event]:
    """Give the events of a test, repeated, filled in and timed as it says."""
    written = test.events or [test.event]
    for number in range(test.repeat * len(written)):
        turn, index = divmod(number, len(written))
        moment = START + timedelta(seconds=test.every * number)
        yield decode_event(orjson.dumps(filled_in(_counted(written[index], turn + 1), number, moment.isoformat())))


def filled_in(event: dict[str, Any], number: int, moment: str) -> dict[str, Any]:
    """Give a small event with everything an audit event has."""
    full = {
        **DEFAULTS,
        "auditID": f"test-{number}",
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
        **event,
    }
    return {key: value for key, value in full.items() if value is not None}


def _counted(value: Any, turn: int) -> Any:
    """Write the number of the turn where a text says ``{n}``."""
    if isinstance(value, str):
        return value.replace("{n}", str(turn))
    if isinstance(value, dict):
        return {key: _counted(item, turn) for key, item in value.items()}
    return [_counted(item, turn) for item in value] if isinstance(value, list) else value


def untested(loaded: Iterable[Loaded]) -> list[Loaded]:
    """List the rules that have no positive or fewer than two negative tests."""
    return [
        one
        for one in loaded
        if not isinstance(one.made, Exemption)
        and (not one.extras.tests.match or len(one.extras.tests.ignore) < NEAR_MISSES)
    ]
