"""What rules cover, and the layer for the ATT&CK Navigator."""

from __future__ import annotations

from detector.finding import Level, RuleInfo
from detector.sigma.coverage import TACTICS, cover, navigator

READ = RuleInfo("1", "Read", Level.low, tactics=("discovery",), techniques=("T1613",), answers=("a", "b"))
LIST = RuleInfo(
    "2", "List", Level.high, tactics=("discovery", "odd"), techniques=("T1613", "T1552.007"), answers=("a",)
)


def test_entries_are_sorted_by_name_with_their_rules() -> None:
    covered = cover([READ, LIST])
    assert {one.name: [rule.id for rule in one.rules] for one in covered.techniques} == {
        "T1552.007": ["2"],
        "T1613": ["1", "2"],
    }
    assert {one.name: len(one.rules) for one in covered.answers} == {"a": 2, "b": 1}
    assert covered.answers[0].level is Level.high


def test_every_tactic_is_listed_in_the_order_of_attack_and_unknown_ones_after() -> None:
    assert [one.name for one in cover([READ, LIST]).tactics] == [*TACTICS, "odd"]


def test_a_rule_that_names_something_twice_counts_once() -> None:
    assert len(cover([RuleInfo("1", "T", Level.low, answers=("a", "a"))]).answers[0].rules) == 1


def test_the_layer_scores_techniques_by_their_number_of_rules() -> None:
    layer = navigator(cover([READ, LIST]))
    assert (layer["domain"], layer["versions"]["layer"]) == ("enterprise-attack", "4.5")
    assert [(one["techniqueID"], one["score"], one["comment"]) for one in layer["techniques"]] == [
        ("T1552.007", 1, "List (high)"),
        ("T1613", 2, "Read (low); List (high)"),
    ]
    assert layer["gradient"]["maxValue"] == 2


def test_a_layer_of_no_rules_is_a_layer() -> None:
    assert navigator(cover([]))["techniques"] == []
