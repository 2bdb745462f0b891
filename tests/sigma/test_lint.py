"""Lint: one row a mistake, and where it is said to be; a good rule has none."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from detector.sigma.lint import Problem, _memory, _regexes, lint
from detector.sigma.load import load_all
from detector.sigma.path import Path
from detector.sigma.predicate import And, Atom, Named, Not
from detector.sigma.source import RuleFile

GOOD = """\
title: Secret read
id: 7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a0
name: secret_read
description: Somebody read a secret.
tags: [attack.credential-access, attack.t1552.007]
logsource: {product: kubernetes, service: audit}
detection:
  sel:
    key: secrets
    verb: get
  condition: sel
falsepositives: [Everyday work.]
level: low
redshank:
  answers: [secret-get]
  message: "{actor} did it"
  runbook: [Ask.]
  tests:
    match: [{event: {objectRef: {resource: secrets}}}]
    ignore: [{event: {verb: list}}, {event: {verb: watch}}]
"""
FILTER = """\
title: Not the backup
id: 7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a1
logsource: {product: kubernetes, service: audit}
filter:
  rules: [secret_read]
  backup:
    user.username: backup
  condition: not backup
redshank: {owner: ops, reason: it reads everything}
"""
CORRELATION = """\
title: Many
id: 7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a2
description: Many.
tags: [attack.collection]
correlation:
  type: event_count
  rules: [secret_read]
  group-by: [actor]
  timespan: 1m
  condition: {gte: 3}
falsepositives: [None known.]
level: high
redshank:
  answers: [x]
  message: "{actor} did it"
  runbook: [Ask.]
  tests:
    match: [{repeat: 3, event: {objectRef: {resource: secrets}}}]
    ignore: [{event: {}}, {event: {verb: list}}]
"""


def problems(text: str) -> list[Problem]:
    return lint([RuleFile("r.yml", text)])


def edited(text: str, **changes: Any) -> str:
    """Give a document with top-level keys replaced, or left out where None."""
    data = {**yaml.safe_load(text), **changes}
    return yaml.safe_dump({key: value for key, value in data.items() if value is not None}, sort_keys=False)


def detection(condition: str = "sel", **selections: Any) -> str:
    return edited(GOOD, detection={**selections, "condition": condition})


def said(text: str) -> list[str]:
    return [f"{problem.severity}: {problem.message}" for problem in problems(text)]


@pytest.mark.parametrize("text", [GOOD, f"{GOOD}---\n{FILTER}", f"{GOOD}---\n{CORRELATION}"])
def test_a_good_rule_has_no_problem(text: str) -> None:
    assert problems(text) == []


ANCHOR = {"key": "secrets"}
MISTAKES = {
    "no id": (edited(GOOD, id=None), "error: id is missing"),
    "no level": (edited(GOOD, level=None), "error: level is missing"),
    "no description": (edited(GOOD, description=None), "warning: description is missing"),
    "no tags": (edited(GOOD, tags=None), "warning: tags is missing"),
    "no false positives": (edited(GOOD, falsepositives=None), "warning: falsepositives is missing"),
    "no runbook": (edited(GOOD, redshank={"answers": ["x"]}), "warning: redshank.runbook is missing"),
    "no answers": (edited(GOOD, redshank={"runbook": ["x"]}), "note: redshank.answers is missing"),
    "no message": (edited(GOOD, redshank={"runbook": ["x"]}), "note: redshank.message is missing"),
    "no tests": (edited(GOOD, redshank={}), "warning: redshank.tests: at least one event"),
    "key twice": (GOOD + "level: high\n", "error: key 'level' stands twice"),
    "id twice": (f"{GOOD}---\n{GOOD}", "error: id 7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a0 is already used"),
    "name twice": (
        f"{GOOD}---\n{edited(GOOD, id='7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a3')}",
        "error: the name 'secret_read'",
    ),
    "form of tag": (edited(GOOD, tags=["threat.theft"]), "warning: tag 'threat.theft' is not of a form"),
    "unknown tactic": (
        edited(GOOD, tags=["attack.credential_access"]),
        "warning: tag 'attack.credential_access' is no tac",
    ),
    "raw addresses": (detection(sel={**ANCHOR, "sourceIPs": "10.0.0.1"}), "error: sourceIPs is the client's word"),
    "unused": (detection(sel=ANCHOR, other=ANCHOR), "warning: selection 'other' is not in the condition"),
    "keyword": (detection("sel and words", sel=ANCHOR, words=["evil"]), "warning: a keyword looks through every text"),
    "regex": (detection(sel={**ANCHOR, "object.name|re": r"^sh\.helm"}), r"warning: '^sh\\.helm' is plain text"),
    "unanchored": (detection(sel={"exec.command": "sh"}), "warning: this rule looks closely at every event"),
    "half anchored": (detection("sel or b", sel=ANCHOR, b={"exec.command": "sh"}), "warning: this rule looks closely"),
    "unknown field": (detection(sel={"objectRef.resourc": "x"}), "error: unknown field 'objectRef.resourc'"),
    "not YAML": ("title: [", "error: not YAML"),
    "agent excluded": (
        detection("sel and not a", sel=ANCHOR, a={"userAgent|contains": "x"}),
        "warning: the user agent is",
    ),
    "agent among": (
        detection("sel and not 1 of a*", sel=ANCHOR, a1={"agent.family": "x"}, a2={"actor": "y"}),
        "warning: the user agent is the client's word",
    ),
    "agent filter": (
        f"{GOOD}---\n" + FILTER.replace("user.username: backup", "userAgent: velero"),
        "error: the user agent is the client's word: whoever claims the right one passes this filter",
    ),
    "filter of nothing": (FILTER, "error: filter: there is no rule 'secret_read'"),
    "filter without owner": (f"{GOOD}---\n{edited(FILTER, redshank={})}", "warning: redshank.owner is missing"),
    "filter that ends": (
        f"{GOOD}---\n" + FILTER.replace("owner: ops", "owner: ops, expires: 2020-01-31"),
        "note: this filter ends on 2020-01-31",
    ),
    "correlation of nothing": (CORRELATION, "error: correlation: 'secret_read': there is no such rule"),
    "unknown group": (
        f"{GOOD}---\n" + CORRELATION.replace("group-by: [actor]", "group-by: [actr]"),
        "error: unknown field 'actr'",
    ),
    "base of another pack": (
        GOOD.replace("redshank:", "redshank:\n  pack: hunting")
        + f"---\n{CORRELATION}".replace("  timespan", "  generate: true\n  timespan"),
        "warning: generate: true, but base rule 7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a0 is in pack hunting",
    ),
}


@pytest.mark.parametrize(("text", "wanted"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_said(text: str, wanted: str) -> None:
    assert [message for message in said(text) if message.startswith(wanted)]


FINE = {
    "agent and more": detection("sel and not a", sel=ANCHOR, a={"userAgent|contains": "x", "actor": "y"}),
    "a rule that answers nothing, and says so": edited(
        GOOD, redshank={**yaml.safe_load(GOOD)["redshank"], "answers": []}
    ),
    "agent wanted": detection(sel={**ANCHOR, "agent.family": "curl"}),
    "anchored in both": detection("sel or b", sel=ANCHOR, b={"verb": "create"}),
    "impersonation": detection(sel={"impersonation|exists": True}),
    "a regex that is one": detection(sel={**ANCHOR, "object.name|re": "^(a|b)+$"}),
    "selections by pattern": detection("1 of sel*", sel_a=ANCHOR, sel_b=ANCHOR),
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_what_is_fine_is_not_complained_about(text: str) -> None:
    assert problems(text) == []


def test_problems_say_where() -> None:
    (problem,) = problems(GOOD.replace("    verb: get\n", "    sourceIPs|cidr: 10.0.0.0/8\n"))
    assert str(problem).startswith("r.yml:10:5: error: sourceIPs")


def test_all_load_errors_are_told_not_only_the_first() -> None:
    broken = edited(GOOD, detection={"sel": {"nonsense": 1}, "condition": "sel"})
    assert len([message for message in said(f"{broken}---\n{broken}") if "unknown field" in message]) == 2


def test_known_rules_may_be_referred_to_and_are_not_linted() -> None:
    assert lint([RuleFile("c.yml", CORRELATION)], [RuleFile("r.yml", GOOD)]) == []


def memory_rule(*more: Atom) -> list[Problem]:
    """Lint ``not memory.seen: yes``; the field is made by hand, so that it need not exist."""
    (one,) = load_all([RuleFile("r.yml", GOOD)])[0]
    from detector.sigma.lint import Finder

    seen = Atom(Path("memory.seen", "memory.seen", ()), "equal", ("yes",))
    return list(_memory(Finder(one.document), And((Not(Named("sel", seen)), *more))))


def test_not_over_memory_must_say_what_it_wants_of_the_unknown() -> None:
    assert [problem.severity for problem in memory_rule()] == ["error"]
    assert memory_rule(Atom(Path("memory.seen", "memory.seen", ()), "exists", ())) == []


def test_regexes_written_for_wildcards_are_not_the_authors() -> None:
    (one,) = load_all([RuleFile("r.yml", detection(sel={**ANCHOR, "object.name": "a*b"}))])[0]
    from detector.sigma.lint import Finder

    assert list(_regexes(Finder(one.document), one.made.predicate)) == []


def test_a_merged_key_that_is_given_anew_stands_there_once() -> None:
    merging = GOOD.replace("{event: {verb: list}}, {event: {", "{event: &one {verb: list}}, {event: {<<: *one, ")
    assert "<<" in merging
    assert problems(merging) == []
