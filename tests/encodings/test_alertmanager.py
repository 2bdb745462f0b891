"""Alertmanager gets alerts it recognises from one revision to the next."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from detector.encodings import alertmanager
from detector.finding import Alert, Level
from tests.encodings.making import ALERTS, MANY, START, TEXTS, alert, closed
from tests.support import batch, fold_with, rule, secret

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""Names of labels (https://prometheus.io/docs/concepts/data_model/)."""
LABELS = 10
REVISIONS = st.fixed_dictionaries(
    {
        "revision": st.integers(1, 1000),
        "level": st.sampled_from(Level),
        "targets": st.lists(TEXTS, max_size=3).map(tuple),
        "sources": st.lists(TEXTS, max_size=3).map(tuple),
        "last_seen": st.integers(START, START + 10**9),
        "count": st.integers(1, 1000),
        "message": TEXTS,
    }
)


@MANY
@given(REVISIONS, REVISIONS)
def test_labels_are_the_same_in_every_revision(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert alertmanager.encode(alert(**one))["labels"] == alertmanager.encode(closed(**other))["labels"]


def test_alerts_of_a_real_fold_keep_their_labels() -> None:
    from detector.record import Record

    fold = fold_with(rule("Reads", level="high"))
    told = [
        one
        for number in range(3)
        for one in fold.fold(Record(number + 1, batch(secret(number, at=number * 301.0)))).alerts
    ]
    told += fold.finish()
    assert {one.change for one in told} >= {"opened", "updated", "closed"}
    by_id: dict[str, list[dict[str, str]]] = {}
    for one in told:
        by_id.setdefault(one.id, []).append(alertmanager.encode(one)["labels"])
    assert all(labels == revisions[0] for revisions in by_id.values() for labels in revisions)


def test_two_alerts_never_have_the_same_labels() -> None:
    assert alertmanager.encode(alert())["labels"] != alertmanager.encode(alert(id="0" * 32))["labels"]


@MANY
@given(ALERTS)
def test_labels_and_annotations_are_bounded_texts_with_proper_names(one: Alert) -> None:
    told = alertmanager.encode(one)
    assert len(told["labels"]) <= LABELS
    assert all(0 < len(value) <= alertmanager.LABEL for value in told["labels"].values())
    assert told["labels"]["alertname"]
    for key, value in {**told["labels"], **told["annotations"]}.items():
        assert NAME.fullmatch(key)
        assert value.replace("\n", "").isprintable()


def test_an_open_alert_has_no_end_and_a_closed_one_has_one_that_is_not_before_its_start() -> None:
    assert "endsAt" not in alertmanager.encode(alert())
    told = alertmanager.encode(closed(last_seen=START))
    assert datetime.fromisoformat(told["startsAt"]) <= datetime.fromisoformat(told["endsAt"])


def test_the_level_of_the_revision_is_an_annotation() -> None:
    told = alertmanager.encode(alert(level=Level.low))
    assert (told["labels"]["severity"], told["annotations"]["level"]) == ("critical", "low")
