"""What `redshank doctor` makes of what a daemon says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.config import Settings
from detector.event import SECOND, rfc3339
from detector.service.doctor import daemon
from detector.version import __version__
from tests.store.making import NOW

HOUR = 3600 * SECOND
HEALTH: dict[str, Any] = {"ready": "yes", "troubles": {}}


def status(**more: Any) -> dict[str, Any]:
    return {
        "version": __version__,
        "started_at": rfc3339(NOW - HOUR),
        "webhook": "http://127.0.0.1:8889",
        "clusters": {},
        "sinks": ["stdout"],
        "outbox": {},
        "last": 7,
        "folded": 7,
        "lag": 0.0,
        "restarts": 0,
        **more,
    }


def heard(ago: float = 1, age: float | None = 1.0) -> dict[str, Any]:
    """Say that a batch came some seconds ago, with an event of an age."""
    return {"last_at": rfc3339(NOW - int(ago * SECOND)), "age": age}


@pytest.mark.parametrize(
    ("ages", "verdict", "named"),
    [
        ([], "ok", "no events"),
        ([None], "ok", "no events"),
        ([1.0, 29.0, -1.5], "ok", "29.0 s"),
        ([1.0, -5.0], "warning", "events of c1 come 5 s before"),
        ([-70.0], "broken", "events of c0 come 70 s before"),
        ([1.0, 4000.0], "warning", "events of c1 were 1 h 6 min old"),
    ],
)
def test_clocks_are_compared_by_the_age_of_events(ages: list[float | None], verdict: str, named: str) -> None:
    clusters = {f"c{number}": heard(age=age) for number, age in enumerate(ages)}
    check = daemon.clock(status(clusters={**clusters, "silent": None}))
    assert check.verdict == verdict
    assert named in check.what


@pytest.mark.parametrize(
    ("seen", "started", "verdict", "said"),
    [
        (heard(ago=5), HOUR, "ok", "5 s ago"),
        (heard(ago=3700), 2 * HOUR, "warning", "for 1 h 1 min"),
        (None, 60 * SECOND, "warning", "in the 1 min since the start"),
        (None, HOUR, "broken", "in the 1 h since the start"),
    ],
)
def test_a_cluster_is_told_by_when_it_was_heard_of(seen: Any, started: int, verdict: str, said: str) -> None:
    told = status(clusters={"prod": seen}, started_at=rfc3339(NOW - started))
    (check,) = daemon.clusters(told, NOW)
    assert (check.part, check.verdict) == ("cluster prod", verdict)
    assert said in check.what


def test_where_no_cluster_is_known_the_way_to_one_is_told() -> None:
    (check,) = daemon.clusters(status(), NOW)
    assert check.verdict == "warning"
    assert "redshank init kube-apiserver" in check.todo


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, "ok"),
        ({"lag": 9.0}, "ok"),
        ({"lag": 11.0}, "warning"),
        ({"lag": 61.0}, "broken"),
        ({"restarts": 2}, "warning"),
    ],
)
def test_detection_is_told_by_how_far_it_is_behind(more: dict[str, Any], verdict: str) -> None:
    assert daemon.fold(status(**more)).verdict == verdict


def itself(folder: Path, health: dict[str, Any] = HEALTH, told: Any = None, **settings: Any) -> dict[str, str]:
    whole = Settings(data_dir=folder, **settings)
    return {check.part: check.verdict for check in daemon.itself(whole, told or status(), health, NOW)}


def test_a_daemon_that_runs_with_these_settings_is_fine(tmp_path: Path) -> None:
    assert itself(tmp_path) == {"daemon": "ok", "settings": "ok"}
    assert itself(tmp_path, {**HEALTH, "ready": "the journal has no room"})["daemon"] == "broken"
    assert itself(tmp_path, told=status(version="0.0.1"))["daemon"] == "warning"


@pytest.mark.parametrize(
    "settings",
    [
        {"sinks": []},
        {"webhook": {"clusters": {"prod": {}}}},
        {"webhook": {"tls": {"cert": "x", "key": "y"}}},
    ],
)
def test_a_daemon_that_runs_with_other_settings_is_told(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert itself(tmp_path, **settings)["settings"] == "warning"


def letter(ago: float, kind: str = "body") -> dict[str, Any]:
    return {"kind": kind, "last_at": rfc3339(NOW - int(ago * SECOND)), "reason": "no JSON"}


def test_only_new_dead_letters_are_warned_of() -> None:
    assert daemon.dead_letters([letter(3601)], NOW).verdict == "ok"
    check = daemon.dead_letters([letter(5), letter(6), letter(7, "delivery"), letter(4000)], NOW)
    assert check.verdict == "warning"
    assert "2 body, 1 delivery within an hour, the last: no JSON" in check.what
    assert "or more" in daemon.dead_letters([letter(5)] * daemon.MOST, NOW).what


def test_sinks_that_take_nothing_are_named() -> None:
    (check,) = daemon.sinks({"troubles": {"sink siem": "refused", "fold": "60 s behind"}})
    assert (check.part, check.verdict, check.what) == ("sink siem", "broken", "takes nothing: refused")


def depth(**more: Any) -> dict[str, Any]:
    return {"waiting": 0, "bytes": 0, "oldest": None, "buried": 0, "displaced": 0, "lost": 0, **more}


def test_sinks_that_are_gone_and_waited_for_are_named() -> None:
    waiting = depth(waiting=3, oldest=rfc3339(NOW - HOUR))
    told = status(outbox={"stdout": waiting, "old": waiting, "older": depth(buried=2)})
    (check,) = daemon.outbox(told, NOW)
    assert (check.part, check.verdict) == ("sink old", "warning")
    assert "waited for by 3 alerts, the oldest for 1 h" in check.what


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"buried": 7}, None),
        ({"buried": 7, "displaced": 5}, "7 alerts went to the dead letters, as too many waited"),
        ({"buried": 7, "displaced": 5, "lost": 2}, "too many waited; 2 alerts before them had to go for good"),
        ({"displaced": 5, "lost": 2}, None),
    ],
)
def test_sinks_for_which_too_many_waited_are_named_while_something_can_be_done(
    known: dict[str, int], said: str | None
) -> None:
    checks = list(daemon.outbox(status(outbox={"stdout": depth(**known)}), NOW))
    assert [said in check.what for check in checks if said] == [True] * bool(said)
    assert len(checks) == bool(said)
    assert all("--sink stdout" in check.todo for check in checks)
