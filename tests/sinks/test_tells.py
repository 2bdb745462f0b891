"""Which revisions a sink is told: alerts, incidents, or both."""

from __future__ import annotations

import pytest

from detector.finding import Alert
from detector.sinks.file import FileSettings
from detector.sinks.settings import Tells, wants
from tests.encodings.making import alert

ALONE = alert(change="opened")
PART = alert(change="opened", incident="1" * 32)
INCIDENT = alert(change="opened", kind="incident")


@pytest.mark.parametrize(
    ("tells", "told"),
    [("all", [ALONE, PART, INCIDENT]), ("alerts", [ALONE, PART]), ("incidents", [ALONE, INCIDENT])],
)
def test_a_sink_hears_of_what_it_asks_for(tells: Tells, told: list[Alert]) -> None:
    settings = FileSettings(name="file", path="/tmp/alerts.jsonl", tells=tells)
    assert [one for one in (ALONE, PART, INCIDENT) if wants(settings, one)] == told
