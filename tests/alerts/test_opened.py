"""Open alerts: what they hold is bounded in bytes, for all of them together, and exact where it can be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detector.alerts import group, opened
from detector.alerts.opened import LEAST, SAMPLES, TEXTS
from detector.cluster import Cluster
from detector.record import Record
from tests.support import batch, fold_with, rule, secret

RULE = rule("read", fields=["userAgent", "objectRef.name", "user.groups"])
BODY = {"a": "x" * 10_000}


def flooded(events: int, **attributes: Any) -> Cluster:
    """Give what is left after events of as many actors, each with the longest names."""
    fold = fold_with(RULE)
    for number in range(events):
        long = {name: f"{number}{name}\U0001f600" * 80 for name in ("username", "userAgent", "name", "auditID", "ip")}
        one = secret(
            name=long["name"],
            at=number / 100,
            user={"username": long["username"], "groups": [long["userAgent"]]},
            **{"userAgent": long["userAgent"], "auditID": long["auditID"], "sourceIPs": [long["ip"]], **attributes},
        )
        fold.fold(Record(number + 1, batch(one)))
    return fold.cluster("")


def size(cluster: Cluster) -> int:
    """Give the bytes that the alerts take in a snapshot, beside incidents."""
    return len(msgspec.msgpack.encode({**cluster.alerts.dump(), "incidents": None}))


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MAX_OPEN", 100)
    monkeypatch.setattr(opened, "SAMPLES", 300_000)
    monkeypatch.setattr(opened, "TEXTS", 50_000)


RULES = 2_000
"""Bytes of the texts of the one rule."""


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("body", [BODY, {}, {"a": "\U0001f600" * 3_000}])
def test_a_flood_of_actors_with_huge_events_stays_within_its_bytes(body: Any) -> None:
    cluster = flooded(300, requestObject=body)
    assert len(cluster.alerts.open) == 100
    assert 250_000 < cluster.alerts.room.sampled <= 300_000
    assert size(cluster) < 300_000 + 50_000 + 100 * LEAST + RULES


def test_the_bound_is_what_the_documentation_says() -> None:
    assert SAMPLES + TEXTS + group.MAX_OPEN * LEAST < 72_000_000


@pytest.mark.usefixtures("_small")
def test_samples_lose_their_bodies_first_and_then_go() -> None:
    samples = [alert.samples for alert in flooded(100, requestObject=BODY).alerts.close_all()]
    kinds = ["none" if not one else "whole" if "requestObject" in one[0] else "small" for one in samples]
    assert kinds == sorted(kinds, key=["whole", "small", "none"].index)
    assert set(kinds) == {"whole", "small", "none"}


@pytest.mark.usefixtures("_small")
def test_every_alert_of_a_flood_has_one_text_in_each_list_and_its_count() -> None:
    for alert in flooded(100).alerts.close_all():
        lists = (alert.targets, alert.sources, alert.audit_ids, alert.reasons)
        assert [bool(each) for each in lists] == [True] * 4
        assert alert.count == 1


@pytest.mark.usefixtures("_small")
def test_what_closed_alerts_used_is_free_again() -> None:
    alerts = flooded(100, requestObject=BODY).alerts
    alerts.close_all()
    assert (alerts.room.sampled, alerts.room.listed, alerts.infos) == (0, 0, {})


@pytest.mark.usefixtures("_small")
def test_a_restored_flood_has_as_much_room_left() -> None:
    before, after = flooded(150).alerts, group.Alerts()
    after.load(msgspec.msgpack.decode(msgspec.msgpack.encode(before.dump())))
    assert vars(after.room) == vars(before.room)
    assert after.close_all() == before.close_all()
