"""Falco's rules files: what later items change, what is no such file, and that none does harm."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import RuleError
from detector.sigma.falco import convert
from detector.sigma.falco.reader import Ruleset, read
from detector.sigma.source import RuleFile
from tests.falco.converting import COMPLETE, converted

RULE = {**COMPLETE, "rule": "r", "condition": "a"}


def items(*several: dict[str, Any]) -> Ruleset:
    return read([RuleFile("own.yaml", orjson.dumps(several).decode())])


def broken(*several: dict[str, Any]) -> str:
    ((_, _, error),) = items(*several).broken
    return str(error)


def test_a_later_item_of_the_same_name_replaces_the_earlier_one() -> None:
    found = items({"list": "l", "items": ["a"]}, {"list": "l", "items": ["b"]}, RULE, {**RULE, "condition": "b"})
    assert found.lists["l"].keys["items"] == ["b"]
    assert found.rules["r"].condition == "b"


def test_append_and_override_change_an_earlier_item() -> None:
    exceptions = [{"name": "e", "fields": "ka.verb", "values": ["x"]}]
    found = items(
        {"list": "l", "items": ["a"]},
        {"list": "l", "items": ["b"], "append": True},
        {"macro": "m", "condition": "a"},
        {"macro": "m", "condition": "or b", "override": {"condition": "append"}},
        {"macro": "m", "condition": "(c)", "override": {"condition": "replace"}},
        {**RULE, "tags": ["x"], "exceptions": exceptions},
        {"rule": "r", "condition": "and b", "exceptions": [{"name": "e", "values": ["y"]}], "append": True},
        {"rule": "r", "tags": ["y"], "priority": "INFO", "override": {"tags": "append", "priority": "replace"}},
    )
    assert found.broken == []
    assert found.lists["l"].keys["items"] == ["a", "b"]
    assert found.macros["m"].condition == "(c)"
    rule = found.rules["r"]
    assert (rule.condition, rule.keys["tags"], rule.keys["priority"]) == ("a and b", ["x", "y"], "INFO")
    assert rule.keys["exceptions"] == [{"name": "e", "fields": "ka.verb", "values": ["x", "y"]}]


def test_values_are_texts_as_falco_reads_them() -> None:
    file = RuleFile("l.yaml", "- list: l\n  items: [yes, 1.10, 0x1F, 2024-01-01, ~a, 'true']\n")
    assert read([file]).lists["l"].keys["items"] == ["yes", "1.10", "0x1F", "2024-01-01", "~a", "true"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"rul": "r"}, "own.yaml:1:2: neither rule, macro nor list: rul"),
        ({"rule": "r", "condition": "a"}, "desc is missing"),
        ({**RULE, "condition": " "}, "condition is missing"),
        ({**RULE, "condition": ["a"]}, "condition is missing"),
        ({"macro": "m"}, "condition is missing"),
        ({"list": "l", "items": "a"}, "items must be a list of texts"),
        ({"list": "l", "items": [["a"]]}, "items must be a list of texts"),
        ({"list": "l", "items": ["a"], "append": True}, "there is no list 'l' before this one"),
        ({"rule": "x", "enabled": True}, "there is no rule 'x' before this one"),
        ({**RULE, "override": "x"}, "override must say of each key"),
        ({**RULE, "override": {"source": "replace"}}, "'source' cannot be 'replace'"),
        ({**RULE, "override": {"priority": "append"}}, "'priority' cannot be 'append'"),
        ({**RULE, "override": {"condition": "append"}}, "override says neither append nor replace of 'desc'"),
    ],
)
def test_an_item_that_cannot_be_used_is_listed_and_costs_no_other(item: dict[str, Any], reason: str) -> None:
    assert reason in broken(item)
    assert "other" in items(item, {"macro": "other", "condition": "a"}).macros


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "not YAML"),
        ("title: a rule of Sigma", "is a list of rules, macros and lists"),
        ("just text", "is a list of rules, macros and lists"),
    ],
)
def test_what_is_no_rules_file_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RuleError) as caught:
        read([RuleFile("own.yaml", text)])
    assert reason in caught.value.message
    assert caught.value.path == "own.yaml"


def test_an_empty_document_is_no_mistake() -> None:
    assert read([RuleFile("own.yaml", "---\n")]).rules == {}


def bomb() -> str:
    """Ten aliases of ten aliases: few characters that mean very many values."""
    rows = [f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    return "\n".join(["- macro: m", "  condition: a", "  bomb:", "  - &a0 [x, x, x, x, x, x, x, x, x, x]", *rows])


def test_aliases_that_mean_very_many_values_are_refused() -> None:
    ((_, _, error),) = read([RuleFile("own.yaml", bomb())]).broken
    assert "too many values" in error.message


def test_macros_and_lists_that_mean_very_much_are_refused() -> None:
    macros = [{"macro": "m0", "condition": "ka.verb=get"}]
    macros += [{"macro": f"m{n}", "condition": f"m{n - 1} or m{n - 1}"} for n in range(1, 40)]
    lists = [{"list": "l0", "items": ["a"]}]
    lists += [{"list": f"l{n}", "items": [f"l{n - 1}"] * 2} for n in range(1, 40)]
    rules = [{"rule": "m", "condition": "m39"}, {"rule": "l", "condition": "ka.verb in (l39)"}]
    refused = converted(*macros, *lists, *rules).refused
    assert [each.name for each in refused] == ["m", "l"]
    assert all("more" in each.reason for each in refused)


def test_a_macro_within_itself_is_refused_where_it_is() -> None:
    (refused,) = converted({"macro": "m", "condition": "a or m"}, {"macro": "a", "condition": "m"},
                           {"rule": "r", "condition": "m"}).refused  # fmt: skip
    assert "is part of itself" in refused.reason


def test_a_list_that_names_itself_holds_its_name() -> None:
    (made,) = converted({"list": "l", "items": ["l", "x"]}, {"rule": "r", "condition": "ka.verb in (l)"}).converted
    assert made.document["detection"]["verb"] == {"verb": ["l", "x"]}


@pytest.mark.parametrize(
    ("exception", "reason"),
    [
        ("x", "an exception needs a name"),
        ({"fields": "ka.verb"}, "an exception needs a name"),
        ({"name": "e", "fields": ["ka.verb"], "values": [["a", "b"]]}, "equally long"),
        ({"name": "e", "fields": ["ka.verb"], "values": ["a"]}, "equally long"),
        ({"name": "e", "fields": "ka.verb", "comps": "=", "values": ["a"]}, "comps can be in, intersects, pmatch"),
        ({"name": "e", "fields": "no field", "values": ["a"]}, "'no field' is no field"),
        ({"name": "e", "fields": ["ka.verb"], "comps": ["like"], "values": [["a"]]}, "this operator has no equivalent"),
        ({"name": "e", "fields": {"a": "b"}, "values": [["a"]]}, "must be texts"),
        ({"name": "e", "fields": "ka.verb", "values": "a"}, "values must be a list"),
        ({"name": "e", "fields": ["ka.verb"], "values": [[["a", "b"]]]}, "a list of 2, not one"),
    ],
)
def test_a_wrong_exception_refuses_its_rule(exception: Any, reason: str) -> None:
    (refused,) = converted({"rule": "r", "condition": "ka.verb=get", "exceptions": [exception]}).refused
    assert reason in refused.reason


def test_an_exception_in_one_text_can_be_a_list() -> None:
    exception = {"name": "e", "fields": ["ka.verb"], "comps": ["in"], "values": [["(get, list)"]]}
    (made,) = converted({"rule": "r", "condition": "ka.uri exists", "exceptions": [exception]}).converted
    assert made.document["detection"]["except_e"] == {"verb": ["get", "list"]}


def test_an_exception_never_takes_the_name_of_a_macro() -> None:
    exception = {"name": "e", "fields": "ka.verb", "values": ["get"]}
    macro = {"macro": "except_e", "condition": "ka.verb=list"}
    rule = {"rule": "r", "condition": "except_e", "exceptions": [exception]}
    (made,) = converted(macro, rule).converted
    assert made.document["detection"]["condition"] == "except_e and not except_e_"


KEYS = ["rule", "macro", "list", "items", "condition", "append", "override", "exceptions", "enabled", "priority"]
KEYS += ["tags", "desc", "output", "source", "name", "fields", "comps", "values"]
TEXTS = ["a", "ka.verb=get", "ka.verb in (a)", "replace", "true", "k8s_audit", "%ka.verb", "%x.y[", "WARNING", "{"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=20,
)
likely = st.fixed_dictionaries(
    {"source": st.just("k8s_audit")},
    optional={key: st.sampled_from(TEXTS) for key in ("rule", "condition", "desc", "output", "priority")}
    | {"exceptions": anything, "override": anything, "tags": anything},
)


@settings(deadline=None)
@given(st.lists(likely | anything, max_size=4))
def test_any_items_are_converted_or_refused(several: list[Any]) -> None:
    conversion = convert([RuleFile("any.yaml", orjson.dumps(several).decode())])
    assert all(each.path == "any.yaml" and each.reason for each in conversion.refused)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_rules_file_or_refused(text: str) -> None:
    try:
        convert([RuleFile("any.yaml", text)])
    except RuleError as error:
        where = error.path
    else:
        where = "any.yaml"
    assert where == "any.yaml"
