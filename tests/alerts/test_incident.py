"""Incidents: which alerts are one story, when it is told, at which level, and what bounds it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detector.alerts import incident
from detector.event import Event
from detector.finding import Alert
from detector.fold import Fold
from detector.record import Record
from tests.support import batch, event, fold_with, rule, secret


def about(title: str, resource: str, level: str, tactic: str) -> dict[str, Any]:
    """Make a rule about any request on a resource."""
    detection = {"sel": {"objectRef.resource": resource}, "condition": "sel"}
    return rule(title, detection, level=level, tags=[f"attack.{tactic}"])


RULES = (
    about("looked", "pods", "low", "discovery"),
    about("read", "secrets", "medium", "credential-access"),
    about("bound", "rolebindings", "medium", "privilege-escalation"),
    about("asked", "serviceaccounts", "low", "persistence"),
    about("broke", "namespaces", "medium", "impact"),
    about("told", "configmaps", "informational", "discovery"),
)
ACCOUNT = "system:serviceaccount:prod:app"


def act(number: int, resource: str, user: str = "jane@example.com", **attributes: Any) -> Event:
    """Make a request of somebody, ``number`` minutes after the start."""
    ref = {"resource": resource, "namespace": "prod", "name": "x"}
    attributes = {"at": 60.0 * number, "objectRef": ref, "auditID": f"{resource}-{number}", **attributes}
    return event(number, user={"username": user, "groups": []}, **attributes)


def grant(number: int, *users: str, **attributes: Any) -> Event:
    subjects = [{"kind": "User", "name": user} for user in users]
    return act(number, "rolebindings", verb="create", requestObject={"subjects": subjects}, **attributes)


def told(*events: Event, fold: Fold | None = None) -> list[Alert]:
    """Give the revisions of incidents told of some events, each in a record of its own, and of the end."""
    fold = fold or fold_with(*RULES)
    first = fold.offset + 1
    alerts = [
        alert for number, one in enumerate(events) for alert in fold.fold(Record(first + number, batch(one))).alerts
    ]
    return [alert for alert in (*alerts, *fold.finish()) if alert.kind == "incident"]


def closed(*events: Event) -> list[Alert]:
    return [alert for alert in told(*events) if alert.status == "closed"]


def titles(alert: Alert) -> list[str]:
    return [chapter.title for chapter in alert.story]


def test_alerts_of_two_rules_about_one_actor_are_an_incident_told_in_order() -> None:
    opened, end = told(act(1, "secrets"), act(2, "rolebindings"))
    assert (opened.change, end.change, opened.id) == ("opened", "closed", end.id)
    assert [(one.title, one.stage, one.level.name, one.actor, one.target) for one in end.story] == [
        ("read", "access", "medium", "jane@example.com", "prod/secrets/x"),
        ("bound", "escalation", "medium", "jane@example.com", "prod/rolebindings/x"),
    ]
    assert (end.title, end.actor, end.count) == ("Incident: access and escalation", "jane@example.com", 2)
    assert end.audit_ids == ("secrets-1", "rolebindings-2")
    assert end.message == "read (jane@example.com); then bound (jane@example.com)."
    assert end.rule.tactics == ("credential-access", "privilege-escalation")


def test_two_rules_about_one_act_are_no_incident() -> None:
    again = about("read again", "secrets", "high", "collection")
    assert told(act(1, "secrets"), fold=fold_with(*RULES, again)) == []


def test_one_rule_alone_however_often_is_no_incident() -> None:
    assert told(act(1, "secrets"), act(20, "secrets"), act(40, "secrets")) == []


def test_an_alert_names_the_incident_that_it_opens_as_a_part_of() -> None:
    fold = fold_with(*RULES)
    first = fold.fold(Record(1, batch(act(1, "secrets")))).alerts
    second = fold.fold(Record(2, batch(act(2, "rolebindings")))).alerts
    third = fold.fold(Record(3, batch(act(3, "namespaces")))).alerts
    assert [(one.kind, bool(one.incident)) for one in (*first, *second)] == [
        ("alert", False),
        ("alert", True),
        ("incident", False),
    ]
    assert second[0].incident == second[1].id == third[0].incident


def test_informational_alerts_are_no_part_of_it() -> None:
    assert told(act(1, "secrets"), act(2, "configmaps")) == []


def test_whoever_was_given_rights_goes_on_with_the_story() -> None:
    (end,) = closed(grant(1, "eve"), act(5, "secrets", "eve"))
    assert [(one.actor, one.title) for one in end.story] == [("jane@example.com", "bound"), ("eve", "read")]


def test_a_refused_grant_ties_nobody() -> None:
    assert closed(grant(1, "eve", responseStatus={"code": 403}), act(5, "secrets", "eve")) == []


def test_a_token_that_was_asked_for_goes_on_with_the_story() -> None:
    ref = {"resource": "serviceaccounts", "subresource": "token", "namespace": "prod", "name": "app"}
    (end,) = closed(act(1, "serviceaccounts", objectRef=ref, verb="create"), act(5, "secrets", ACCOUNT))
    assert [one.actor for one in end.story] == ["jane@example.com", ACCOUNT]


def test_a_pod_goes_on_as_its_service_account() -> None:
    pod = {"kind": "Pod", "spec": {"serviceAccountName": "app", "containers": []}}
    (end,) = closed(act(1, "pods", verb="create", requestObject=pod), act(5, "secrets", ACCOUNT))
    assert titles(end) == ["looked", "read"]


def test_a_credential_is_one_chain_whoever_it_acts_as() -> None:
    extra = {"authentication.kubernetes.io/credential-id": ["JTI=1"]}
    one, other = (
        event(n, at=60 * n, user={"username": user, "extra": extra}, objectRef={"resource": kind, "namespace": "prod"})
        for n, user, kind in ((1, ACCOUNT, "secrets"), (2, "someone", "pods"))
    )
    assert [titles(end) for end in closed(one, other)] == [["read", "looked"]]


def test_nobody_is_one_chain_by_address() -> None:
    def anonymous(number: int, resource: str, address: str) -> Event:
        return act(number, resource, "system:anonymous", sourceIPs=[address])

    ends = closed(
        anonymous(1, "pods", "192.0.2.1"), anonymous(2, "secrets", "192.0.2.2"), anonymous(3, "secrets", "192.0.2.1")
    )
    assert [(titles(end), end.sources) for end in ends] == [(["looked", "read"], ("192.0.2.1",))]


@pytest.mark.parametrize("hub", ["system:kube-scheduler", "system:serviceaccount:kube-system:job-controller"])
def test_those_through_whom_all_work_tie_nobody(hub: str) -> None:
    ends = closed(grant(1, hub, at=1), grant(2, hub, at=2), act(3, "pods", "eve"), act(4, "secrets", hub))
    assert ends == []


def test_two_stories_that_turn_out_to_be_one_go_on_as_the_older() -> None:
    first = [act(1, "secrets"), act(2, "pods")]
    other = [act(3, "secrets", "eve"), act(4, "pods", "eve")]
    older, younger, gone, *_, end = told(*first, *other, grant(5, "eve"))
    assert (gone.id, gone.change, gone.incident) == (younger.id, "closed", older.id)
    assert gone.message == f"It goes on as incident {older.id}."
    assert (end.id, titles(end)) == (older.id, ["read", "looked", "read", "looked", "bound"])
    assert end.count == 5


def test_the_level_rises_with_the_stages() -> None:
    events = [act(1, "pods"), act(2, "secrets"), act(3, "rolebindings"), act(4, "serviceaccounts")]
    assert [(one.change, one.level.name) for one in told(*events)] == [
        ("opened", "medium"),
        ("raised", "high"),
        ("raised", "critical"),
        ("closed", "critical"),
    ]


def test_it_closes_after_a_quiet_hour_and_a_new_one_begins() -> None:
    first, second = closed(*(act(n, "secrets" if n % 10 else "pods") for n in (9, 10, 79, 80)))
    assert first.id != second.id
    assert titles(first) == titles(second) == ["read", "looked"]


def test_it_closes_after_a_day_however_busy() -> None:
    events = [act(n, kind) for n in range(0, 26 * 60, 30) for kind in ("pods", "secrets")]
    first, second = closed(*events)
    assert first.last_seen - first.first_seen < 86_400e6 < second.last_seen - first.first_seen


def test_counts_are_told_every_five_minutes_at_most() -> None:
    events = [act(1, "pods"), act(2, "secrets"), *(act(n, "pods", ACCOUNT) for n in range(3, 9)), grant(9, ACCOUNT)]
    assert [one.change for one in told(*events)] == ["opened", "raised", "closed"]


def test_incidents_survive_a_snapshot_at_any_point() -> None:
    events = [act(1, "pods"), act(2, "secrets"), grant(3, "eve"), act(4, "namespaces", "eve"), act(90, "pods")]
    whole = told(*events)
    for cut in range(len(events) + 1):
        fold = fold_with(*RULES)
        before = [alert for n, one in enumerate(events[:cut]) for alert in fold.fold(Record(n + 1, batch(one))).alerts]
        rest = told(*events[cut:], fold=Fold.restore(fold.snapshot()))
        assert [one for one in before if one.kind == "incident"] + rest == whole


def test_a_flood_of_actors_with_long_names_stays_within_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident, "MAX_TOLD", 10)
    monkeypatch.setattr(incident, "MAX_UNTOLD", 100)
    fold, long = fold_with(*RULES), "\U0001f600" * 500
    for number in range(400):
        name = f"{number}{long}"
        for kind in ("secrets", "pods") if number % 10 == 0 else ("secrets",):
            one = act(0, kind, name, at=number / 10, auditID=f"{kind}{name}", sourceIPs=[name], userAgent=name)
            fold.fold(Record(fold.offset + 1, batch(one)))
    kept = fold.cluster("").alerts.incidents
    assert (len(kept.told), len(kept.untold)) == (10, 100)
    assert kept.evicted == 30 + 260
    assert len(msgspec.msgpack.encode(kept.dump())) < 110 * incident.LEAST


def test_a_flood_of_alerts_in_one_story_is_capped_and_counted_exactly() -> None:
    events = [secret(n, at=n, name=f"s{n}", user={"username": "jane@example.com"}) for n in range(500)]
    (end,) = closed(act(0, "pods", at=1000), *events)
    assert (end.count, len(end.audit_ids), len(end.targets)) == (501, 256, 20)


GRAVE = about("took", "nodes", "critical", "impact")


def test_a_grave_alert_is_told_however_high_the_level_is_already() -> None:
    worse = about("took more", "endpoints", "high", "impact")
    events = [act(1, "pods"), act(2, "nodes"), act(3, "endpoints")]
    revisions = told(*events, fold=fold_with(*RULES, GRAVE, worse))
    assert [(one.change, one.level.name) for one in revisions[:2]] == [("opened", "critical"), ("raised", "critical")]
    assert titles(revisions[1]) == ["looked", "took", "took more"]


def test_a_grave_alert_finds_room_in_a_long_story_and_raises_it() -> None:
    many = [about(f"rule {n}", f"kind{n}", "low", "discovery") for n in range(incident.CHAPTERS + 5)]
    events = [act(0, f"kind{n}", at=n) for n in range(len(many))]
    revisions = told(*events, act(0, "nodes", at=100), fold=fold_with(*many, GRAVE))
    assert [one.level.name for one in revisions] == ["low", "critical", "critical"]
    assert (len(revisions[-1].story), titles(revisions[-1])[-1]) == (incident.CHAPTERS, "took")
    assert revisions[-1].count == len(many) + 1


def test_names_put_before_the_one_that_matters_cut_no_chain() -> None:
    (end,) = closed(grant(1, *(f"junk-{n}" for n in range(90)), "eve"), act(5, "secrets", "eve"))
    assert titles(end) == ["bound", "read"]


def test_an_incident_that_begins_anew_with_the_same_alert_has_an_id_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident, "MAX_TOLD", 1)
    jane = [act(1, "secrets"), act(2, "pods")]
    eve = [act(3, "secrets", "eve"), act(4, "pods", "eve")]
    again = [act(5, "secrets"), act(6, "pods")]
    revisions = told(*jane, *eve, *again)
    assert len({(one.id, one.revision) for one in revisions}) == len(revisions)
    assert len({one.id for one in revisions if one.actor == "jane@example.com"}) == 2
