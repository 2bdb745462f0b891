"""Correlations: when they fire, when again, what bounds them."""

from __future__ import annotations

from typing import Any

import msgspec

from detector.bounded import BoundedMap
from detector.event import Event
from detector.finding import Finding
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.load import load
from tests.support import correlation, rule, rule_file, secret


def detector(*documents: dict[str, Any]) -> SigmaDetector:
    return SigmaDetector(Compiled(load([rule_file(*documents)])))


def send(to: SigmaDetector, *events: Event) -> list[Finding]:
    return [found for event in events for found in to.check(event, event.time or 0)]


def crossings(findings: list[Finding]) -> list[Finding]:
    return [found for found in findings if not found.continues]


def reads(*times: float, **more: Any) -> list[Event]:
    return [secret(number, at=time, **more) for number, time in enumerate(times)]


BASE = rule("read")
FIVE = correlation("five", "event_count", ["read"], {"gte": 5})


def test_event_count_fires_when_it_crosses_and_continues_above() -> None:
    found = send(detector(BASE, FIVE), *reads(0, 1, 2, 3, 4, 5, 6))
    assert [each.continues for each in found] == [False, True, True]
    assert len({each.id for each in found}) == 1
    assert found[0].audit_ids == ("test-0", "test-1", "test-2", "test-3", "test-4")
    assert found[1].audit_ids == ("test-5",)
    assert sum(each.count for each in found) == 7


def test_it_arms_again_only_after_falling_below() -> None:
    found = send(detector(BASE, FIVE), *reads(*range(6), 20, *range(30, 36)))
    assert len(crossings(found)) == 2
    assert len({each.id for each in found}) == 2


def test_gt_means_one_more() -> None:
    document = correlation("more", "event_count", ["read"], {"gt": 5})
    assert not send(detector(BASE, document), *reads(0, 1, 2, 3, 4))
    assert len(send(detector(BASE, document), *reads(0, 1, 2, 3, 4, 5))) == 1


def test_events_further_apart_than_the_span_do_not_count_together() -> None:
    assert not send(detector(BASE, FIVE), *reads(0, 3, 6, 9, 12, 15, 18))


def test_an_event_on_the_edge_of_the_span_counts() -> None:
    assert len(send(detector(BASE, FIVE), *reads(0, 1, 2, 3, 10))) == 1


def test_lines_out_of_order_count_by_their_time() -> None:
    assert len(crossings(send(detector(BASE, FIVE), *reads(4, 0, 3, 1, 2)))) == 1


def test_groups_are_apart() -> None:
    events = [secret(n, at=n, user={"username": f"user-{n % 2}"}) for n in range(9)]
    found = crossings(send(detector(BASE, FIVE), *events))
    assert [each.actor for each in found] == ["user-0"]


def test_an_event_without_a_group_by_field_takes_no_part() -> None:
    document = correlation("five", "event_count", ["read"], {"gte": 2}, **{"group-by": ["objectRef.subresource"]})
    assert not send(detector(BASE, document), *reads(0, 1, 2))


def test_value_count_counts_distinct_values() -> None:
    document = correlation("names", "value_count", ["read"], {"gte": 3, "field": "objectRef.name"})
    same = [secret(n, at=n, name="same") for n in range(9)]
    assert not send(detector(BASE, document), *same)
    differing = [secret(n, at=n, name=f"secret-{n}") for n in range(3)]
    (found,) = send(detector(BASE, document), *same, *[secret(20 + n, at=3 + n, name=f"s-{n}") for n in range(2)])
    assert found.count == 3
    assert len(send(detector(BASE, document), *differing)) == 1


def test_value_count_keeps_at_most_threshold_values() -> None:
    one = detector(BASE, correlation("names", "value_count", ["read"], {"gte": 3, "field": "objectRef.name"}))
    send(one, *[secret(n, at=n / 100, name=f"secret-{n}") for n in range(500)])
    (window,) = [window for _, window in one.correlators[0].windows.items()]
    assert len(window) == 3


WRITE = rule("write", {"sel": {"objectRef.resource": "secrets", "verb": "update"}, "condition": "sel"})
BOTH = correlation("both", "temporal", ["read", "write"])
ORDERED = correlation("ordered", "temporal_ordered", ["read", "write"])


def test_temporal_wants_every_rule_in_any_order() -> None:
    write, read = secret(1, at=1, verb="update"), secret(2, at=3)
    (found,) = send(detector(BASE, WRITE, BOTH), write, read)
    assert found.audit_ids == ("test-1", "test-2")
    assert not send(detector(BASE, WRITE, BOTH), secret(1, at=1), secret(2, at=2))


def test_temporal_ordered_wants_them_in_order() -> None:
    assert not send(detector(BASE, WRITE, ORDERED), secret(1, at=1, verb="update"), secret(2, at=3))
    assert len(send(detector(BASE, WRITE, ORDERED), secret(1, at=1), secret(2, at=3, verb="update"))) == 1


def test_temporal_ordered_follows_event_time_not_arrival() -> None:
    assert len(send(detector(BASE, WRITE, ORDERED), secret(2, at=3, verb="update"), secret(1, at=1))) == 1


def test_a_flood_of_one_rule_does_not_push_out_the_other() -> None:
    flood = [secret(n, at=2 + n / 1000) for n in range(1, 500)]
    found = send(detector(BASE, WRITE, BOTH), secret(0, at=1, verb="update"), *flood)
    assert len(crossings(found)) == 1


def test_a_flood_of_the_first_rule_does_not_hide_an_order_of_three() -> None:
    third = rule("third", {"sel": {"objectRef.resource": "secrets", "verb": "delete"}, "condition": "sel"})
    ordered = correlation("ordered", "temporal_ordered", ["read", "write", "third"])
    flood = [secret(n, at=2 + n / 100) for n in range(2, 100)]
    events = [secret(0, at=0), secret(1, at=1, verb="update"), *flood, secret(200, at=5, verb="delete")]
    assert len(crossings(send(detector(BASE, WRITE, third, ordered), *events))) == 1


def test_an_event_too_late_for_the_window_is_no_second_crossing() -> None:
    assert len(send(detector(BASE, FIVE), *reads(20, 21, 22, 23, 24), secret(99, at=0))) == 1


def test_a_correlation_that_changes_starts_afresh() -> None:
    before = detector(BASE, FIVE)
    send(before, *reads(0, 1, 2, 3))
    changed = correlation("five", "value_count", ["read"], {"gte": 3, "field": "objectRef.name"})
    after = detector(BASE, changed)
    after.load(before.dump())
    assert not send(after, secret(9, at=4))


def test_base_rules_are_silent_unless_the_correlation_says_generate() -> None:
    assert not send(detector(BASE, FIVE), secret())
    loud = {**FIVE, "correlation": {**FIVE["correlation"], "generate": True}}
    assert [found.title for found in send(detector(BASE, loud), secret())] == ["read"]


def test_the_id_comes_from_rule_group_and_first_event() -> None:
    first = crossings(send(detector(BASE, FIVE), *reads(0, 1, 2, 3, 4)))
    again = crossings(send(detector(BASE, FIVE), *reads(0, 1, 2, 3, 4)))
    other = crossings(send(detector(BASE, FIVE), *reads(0.5, 1, 2, 3, 4)))
    assert first[0].id == again[0].id != other[0].id


def test_both_stages_of_a_request_count_once() -> None:
    document = correlation("two", "event_count", ["read"], {"gte": 2})
    received = {"requestReceivedTimestamp": "2026-01-01T00:00:00Z", "auditID": "one"}
    started = secret(1, at=0, stage="ResponseStarted", **received)
    complete = secret(1, at=9, stage="ResponseComplete", **received)
    assert not send(detector(BASE, document), started, complete)


def test_spam_of_new_groups_does_not_push_out_an_established_one() -> None:
    """Law 4: learn, spam ten times the bound, attack; the same alert as without the spam."""
    one = detector(BASE, FIVE)
    one.correlators[0].windows = BoundedMap(40)
    send(one, *reads(0, 1, user={"username": "attacker"}))
    for number in range(400):
        send(one, secret(number, at=2 + number / 1e4, user={"username": f"spam-{number}"}))
    found = send(one, *[secret(10**6 + n, at=3 + n, user={"username": "attacker"}) for n in range(3)])
    assert [each.actor for each in crossings(found)] == ["attacker"]
    assert one.evicted > 300


def test_a_correlation_names_all_it_stands_on() -> None:
    document = correlation("names", "value_count", ["read"], {"gte": 3, "field": "objectRef.name"})
    (found,) = send(detector(BASE, document), *[secret(n, at=n, name=f"s{n}") for n in range(3)])
    assert found.targets == ("prod/secrets/s0", "prod/secrets/s1", "prod/secrets/s2")
    assert found.sources == ("192.0.2.10",)
    assert found.since == found.time - 2_000_000
    assert found.reasons[0].value == "3 within 10 s: s0, s1, s2"


def test_windows_survive_dump_and_load() -> None:
    before, after = detector(BASE, WRITE, FIVE, ORDERED), detector(BASE, WRITE, FIVE, ORDERED)
    send(before, *reads(0, 1, 2, 3))
    after.load(msgspec.msgpack.decode(msgspec.msgpack.encode(before.dump())))
    assert send(after, secret(9, at=4)) == send(before, secret(9, at=4)) != []
