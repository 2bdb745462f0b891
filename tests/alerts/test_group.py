"""Grouping: what is one alert, when it is told, and what bounds it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detector.alerts import group
from detector.alerts.group import Alerts
from detector.alerts.opened import MAX_AUDIT_IDS, MAX_LISTED, MAX_SAMPLES
from detector.event import Event
from detector.finding import Alert, Level
from detector.record import Record
from tests.support import batch, correlation, event, fold_with, rule, seconds, secret

READ = rule("read", level="high", redshank={"runbook": ["ask"]})
REFUSED = rule("refused", {"s": {"responseStatus.code": 401}, "condition": "s"})


def told(*events: Event, rules: tuple[dict[str, Any], ...] = (READ, REFUSED)) -> list[Alert]:
    """Give every revision told of some events, each in a record of its own, and of the end."""
    fold = fold_with(*rules)
    alerts = [alert for number, one in enumerate(events) for alert in fold.fold(Record(number + 1, batch(one))).alerts]
    return alerts + fold.finish()


def closed(*events: Event) -> list[Alert]:
    return [alert for alert in told(*events) if alert.status == "closed"]


def test_findings_of_a_rule_and_actor_within_the_window_are_one_alert() -> None:
    (alert,) = closed(secret(1), secret(2, at=60, name="other"), secret(3, at=599))
    assert (alert.count, alert.actor, alert.level.name) == (3, "jane@example.com", "high")
    assert alert.targets == ("prod/secrets/db", "prod/secrets/other")
    assert alert.audit_ids == ("test-1", "test-2", "test-3")
    assert (seconds(alert.first_seen), seconds(alert.last_seen)) == (0, 599)
    assert alert.rule.runbook == ("ask",)


def test_the_window_is_ten_minutes_from_the_first_finding() -> None:
    assert [alert.count for alert in closed(secret(1), secret(2, at=599), secret(3, at=600))] == [2, 1]


def test_actors_and_rules_are_apart() -> None:
    other = secret(2, user={"username": "eve"})
    assert [alert.actor for alert in closed(secret(1), other)] == ["jane@example.com", "eve"]


def test_nobody_is_told_apart_by_address() -> None:
    bad: dict[str, Any] = {"user": {}, "responseStatus": {"code": 401}, "stage": "ResponseStarted"}
    first, second = closed(event(1, **bad), event(2, sourceIPs=["198.51.100.1"], **bad))
    assert (first.sources, second.sources) == (("192.0.2.10",), ("198.51.100.1",))


def test_an_alert_is_told_when_it_opens_every_five_minutes_and_when_it_closes() -> None:
    revisions = told(*[secret(n, at=60 * n) for n in range(9)])
    assert [(alert.status, alert.change, alert.revision, alert.count) for alert in revisions] == [
        ("open", "opened", 1, 1),
        ("open", "updated", 2, 6),
        ("closed", "closed", 3, 9),
    ]
    assert len({alert.id for alert in revisions}) == 1


def test_an_alert_is_told_at_once_when_its_level_rises() -> None:
    alerts, info = Alerts(), fold_with(READ).rules.infos
    (found,) = fold_with(READ).fold(Record(1, batch(secret(1)))).findings
    levels = [Level.low, Level.low, Level.high, Level.medium]
    findings = [msgspec.structs.replace(found, level=level, time=found.time + at) for at, level in enumerate(levels)]
    revisions = [alert for one in findings for alert in alerts.add(one, secret(1), info[found.rule_id], one.time)]
    assert [(alert.change, alert.level.name, alert.count) for alert in revisions] == [
        ("opened", "low", 1),
        ("raised", "high", 3),
    ]


def test_ids_are_the_same_each_time_and_differ_by_first_finding() -> None:
    (one,), (again,), (other,) = closed(secret(1)), closed(secret(1)), closed(secret(2))
    assert one.id == again.id != other.id


def test_an_alert_of_a_correlation_names_every_event_it_stands_on() -> None:
    count = correlation("many", "event_count", ["read"], {"gte": 3})
    events = [secret(n, at=300 * n, name=f"s{n}") for n in range(4)]
    slow = {**count, "correlation": {**count["correlation"], "timespan": "1h"}}
    alerts = [alert for alert in told(*events, rules=(READ, slow)) if alert.status == "closed"]
    (alert,) = alerts
    assert alert.targets == tuple(f"prod/secrets/s{n}" for n in range(4))
    assert (seconds(alert.first_seen), seconds(alert.last_seen), alert.count) == (0, 900, 4)


def test_lists_are_capped_and_counts_are_exact() -> None:
    (alert,) = closed(*[secret(n, at=n / 10, name=f"s{n}") for n in range(MAX_AUDIT_IDS + 50)])
    assert alert.count == MAX_AUDIT_IDS + 50
    assert (len(alert.audit_ids), len(alert.targets), len(alert.samples)) == (MAX_AUDIT_IDS, MAX_LISTED, MAX_SAMPLES)


def test_too_many_open_alerts_close_the_oldest_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MAX_OPEN", 5)
    alerts = closed(*[secret(n, at=n / 10, user={"username": f"u{n}"}) for n in range(20)])
    assert {alert.actor for alert in alerts} == {f"u{n}" for n in range(20)}


def test_open_alerts_survive_dump_and_load() -> None:
    fold = fold_with(READ)
    fold.fold(Record(1, batch(secret(1))))
    copy = Alerts()
    copy.load(msgspec.msgpack.decode(msgspec.msgpack.encode(fold.cluster("").alerts.dump())))
    assert copy.close_all() == fold.finish()


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl"


def test_samples_reasons_and_targets_hold_no_tokens() -> None:
    uri = rule("uri", {"s": {"requestURI|contains": "token", "userAgent": "*"}, "condition": "s"})
    one = event(1, requestURI=f"/api?access_token=s3cr3t&x={JWT}", userAgent=f"curl bearer {JWT}", objectRef=None)
    shown = msgspec.json.encode(told(one, rules=(uri,)))
    assert b"[redacted]" in shown
    for part in (b"s3cr3t", b"c2lnbmF0dXJl"):
        assert part not in shown


def test_a_correlation_that_goes_on_gives_alerts_of_their_own_ids() -> None:
    count = correlation("many", "event_count", ["read"], {"gte": 3})
    alerts = told(*[secret(n, at=2 * n) for n in range(900)], rules=(READ, count))
    last = {alert.id: alert.count for alert in alerts if alert.status == "closed"}
    assert sorted(last.values()) == [298, 300, 302]


def test_a_late_finding_joins_the_newer_alert() -> None:
    events = [secret(n, at=900 if n % 2 else 0, name=f"s{n}") for n in range(20)]
    assert [alert.count for alert in closed(*events)] == [1, 19]
