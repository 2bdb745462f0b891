"""Suppression: what is not told, until when, and what it must not swallow."""

from __future__ import annotations

import msgspec
import pytest

from detector.alerts import suppress
from detector.alerts.suppress import Lift, Suppression, Suppressions
from detector.fold import Fold
from detector.record import Record
from tests.support import batch, fold_with, rule, secret, time_at

READ = rule("read", level="high")


def suppression(name: str = "s1", at: float = 100, **patterns: str) -> Suppression:
    plain = Suppression(id=name, owner="kim", reason="nightly backup", until=time_at(at))
    return msgspec.structs.replace(plain, **patterns)


def folded(*bodies: Suppression | Lift | float) -> Fold:
    """Fold controls, and a secret read at each given second."""
    fold = fold_with(READ)
    for number, body in enumerate(bodies, 1):
        fold.fold(Record(number, batch(secret(number, at=body)) if isinstance(body, int | float) else body))
    return fold


def counts(fold: Fold) -> tuple[int, int]:
    stats = fold.stats()
    return stats.findings, stats.suppressed


@pytest.mark.parametrize(
    "patterns",
    [
        {"rule": "READ"},
        {"actor": "jane@*"},
        {"target": "prod/secrets/*"},
        {"source": "192.0.2.*", "actor": "JANE*"},
        {"rule": "read", "cluster": ""},
    ],
)
def test_findings_that_match_every_pattern_open_no_alert_and_are_counted(patterns: dict[str, str]) -> None:
    fold = folded(suppression("s1", 100, **patterns), 1)
    assert counts(fold) == (0, 1)
    assert not fold.finish()


@pytest.mark.parametrize("patterns", [{"rule": "write"}, {"rule": "read", "actor": "eve"}, {"actor": "jane"}])
def test_findings_that_miss_a_pattern_are_told(patterns: dict[str, str]) -> None:
    assert counts(folded(suppression("s1", 100, **patterns), 1)) == (1, 0)


def test_a_suppression_ends_on_the_time_of_the_log() -> None:
    assert counts(folded(suppression(at=100, rule="read"), 99, 100, 101)) == (2, 1)


def test_a_lifted_suppression_counts_no_more() -> None:
    assert counts(folded(suppression(rule="read"), 1, Lift("s1"), 2)) == (1, 1)


def test_it_survives_a_snapshot() -> None:
    fold = Fold.restore(folded(suppression(rule="read"), 1).snapshot())
    fold.fold(Record(9, batch(secret(9, at=2))))
    assert counts(fold) == (0, 2)


def test_a_finding_on_several_targets_is_silenced_only_when_all_are_meant() -> None:
    (found,) = fold_with(READ).fold(Record(1, batch(secret()))).findings
    several = msgspec.structs.replace(found, targets=("prod/secrets/db", "kube-system/secrets/ca"))
    all_of_them = Suppressions()
    all_of_them.add(suppression(target="prod/*"))
    assert all_of_them.silences(found, "")
    assert not all_of_them.silences(several, "")


def test_there_is_a_bound_and_what_has_ended_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppress, "MAX_SUPPRESSIONS", 3)
    some = Suppressions()
    for number in range(9):
        some.add(suppression(f"s{number}", number, rule="read"))
    assert list(some.all) == ["s6", "s7", "s8"]


def test_one_that_would_silence_everything_says_so() -> None:
    assert suppression(cluster="prod").blanket
    for everybody in ("*", "?*", "*?*", "[!x]*", "[]x]*", "[a-z]*"):
        assert suppression(actor=everybody).blanket
    assert not suppression(actor="[jk]im").blanket
    assert not suppression(actor="jane*").blanket
