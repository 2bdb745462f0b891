"""The marked batch: what comes of it, and that nobody else's events look like it."""

from __future__ import annotations

from typing import Any

import pytest

from detector.finding import Alert, Level
from detector.formats import decode_batch
from detector.pipeline import Detector
from detector.service.marked import MARKS, URI, USER, is_marked, marked_body
from detector.sinks.settings import TEST_RULE
from tests.support import batch, event, time_at


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Give the shipped rules that alert."""
    return Detector.load(packs="core,extended")


def alerts(detector: Detector, mark: str, at: float) -> list[Alert]:
    body = marked_body(mark, f"audit-{mark}-{at}", time_at(at))
    return [one for one in detector.append(decode_batch(body)).alerts if one.change != "closed"]


def test_it_makes_one_alert_which_says_that_nothing_happened(detector: Detector) -> None:
    (alert,) = alerts(detector, "00", 0)
    assert (alert.rule.id, alert.change, alert.level) == (TEST_RULE, "opened", Level.informational)
    assert "nothing happened" in alert.message
    assert "Test" in alert.title
    assert alert.audit_ids == ("audit-00-0",)
    assert alert.targets == (f"{URI}00",)


def test_one_test_after_the_other_is_told(detector: Detector) -> None:
    assert [alert.change for at, mark in enumerate(MARKS[10:20]) for alert in alerts(detector, mark, 1 + at)] == [
        "opened"
    ] * 10


def test_a_flood_makes_no_more_alerts_than_there_are_marks() -> None:
    detector = Detector.load()
    told = [alert for at in range(3) for mark in MARKS for alert in alerts(detector, mark, at)]
    assert len(told) == len(MARKS)
    more = [alert for mark in ("000", "zz", "0", "00?x=1", "00/") for alert in alerts(detector, mark, 4)]
    assert more == []


@pytest.mark.parametrize(
    "attributes",
    [
        {"user": {"username": "jane"}},
        {"user": {"username": "jane"}, "impersonatedUser": {"username": USER}},
        {"user": {"username": USER}, "impersonatedUser": {"username": "jane"}},
        {"user": {"username": USER.upper()}},
        {"user": {"username": USER}, "verb": "post"},
    ],
)
def test_the_rule_is_silent_for_everybody_else(detector: Detector, attributes: dict[str, Any]) -> None:
    one = event(requestURI=f"{URI}00", objectRef=None, **attributes)
    assert TEST_RULE not in {alert.rule.id for alert in detector.append(batch(one)).alerts}


def test_a_batch_of_a_test_is_known_from_one_of_an_api_server() -> None:
    ours = decode_batch(marked_body("00", "a", time_at(0)))
    assert is_marked(ours)
    assert not is_marked(batch(event()))
    assert not is_marked(batch(event(requestURI=f"{URI}00")))
    assert not is_marked(batch(*ours.events, event()))
