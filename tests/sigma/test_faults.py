"""Broken rules: every mistake is told, each at its own line and column, whatever else is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector.sigma.load import load_all
from detector.sigma.source import RuleFile


def told(text: str) -> list[str]:
    """Give what keeps the documents of a text from being used, as ``line:column message``."""
    return [f"{error.line}:{error.column} {error.message}" for error in load_all([RuleFile("r.yml", text)])[1]]


RULE = """\
title: 5
id: nope
status: frob
level: huge
date: 2026-02-31
tags: [attack.t1552, nodots]
fields: verb
logsource: {product: windows, service: frob}
detection:
  sel:
    objectRef.resourc: x
    objectRef.name|contain|re: 'a'
    object.name|re:
      - 'fine'
      - '(?=x)'
    object.uid|re: '[z-a]'
    source.ip|cidr: [10.0.0.0/8, 10.0.0.0/33]
    verb|contains: 5
    responseStatus.code|gt: [5, x]
    userAgent|expand: '%x%'
    stageTimestamp|hour: 3
    user.username|fieldref: actr
    actor|base64: 'a*b'
  alternatives:
    - verb: get
    - verv: get
    - frobnicate|re: '('
  empty: {}
  words: [a, 'b*c', 1]
  1: x
  condition:
    - sel and gone and 1 of x_*
    - sel and (words
    - sel words
    - sel | count() > 3
    - 5
redshank:
  pack: cor
  pak: core
  runbook: text
  message: "{actor} ran {exec.comand} in {targt}"
  expires: 2026-13-01
  tests:
    match:
      - evnt: {verb: get}
      - repeat: 0
"""
RE2 = "(RE2 syntax: no look-around, no back-references)"
WRONG_IN_RULE = [
    "1:8 Sigma rule title must be a string",
    "2:5 Sigma rule identifier must be an UUID",
    "3:9 'frob' is not a valid Sigma rule status",
    "4:8 'huge' is not a valid Sigma rule level",
    "5:7 Rule date '2026-02-31' is invalid, use yyyy-mm-dd",
    "6:22 Sigma tag must start with namespace separated with dot from remaining tag.",
    "7:9 Sigma rule fields must be a list",
    "8:22 logsource is not product: kubernetes, service: audit",
    "8:40 logsource is not product: kubernetes, service: audit",
    "11:5 unknown field 'objectRef.resourc' (did you mean 'objectRef.resource'?)",
    "12:20 unknown modifier 'contain' (did you mean 'contains'?)",
    f"15:9 regular expression '(?=x)': invalid perl operator: (?= {RE2}",
    f"16:20 regular expression '[z-a]': invalid character class range: z-a {RE2}",
    "17:34 Invalid CIDR expression: '10.0.0.0/33' does not appear to be an IPv4 or IPv6 network",
    "18:20 Modifier SigmaContainsModifier incompatible to value type of '5'",
    "19:33 Modifier SigmaGreaterThanModifier incompatible to value type of 'x'",
    "20:23 placeholders (modifier expand, %name%) are not supported",
    "21:26 modifiers minute, hour, day, week, month and year are not supported",
    "22:29 unknown field 'actr' (did you mean 'actor'?)",
    "23:19 Base64 encoding of strings with wildcards is not allowed",
    "26:7 unknown field 'verv' (did you mean 'verb'?)",
    "27:7 unknown field 'frobnicate'; `redshank rules fields` lists what there is",
    f"27:22 regular expression '(': missing ): ( {RE2}",
    "28:3 the selection is empty",
    "29:14 keywords can be plain texts and numbers only",
    "30:3 the name of a selection is a text: put it in quotes",
    "32:15 condition: there is no selection 'gone'",
    "32:29 condition: no selection is named like 'x_*'",
    "33:7 condition: its end is missing",
    "34:11 condition: 'words' is not understood",
    "35:7 condition: The pipe syntax in Sigma conditions has been deprecated and replaced by Sigma correlations. "
    "pySigma doesn't supports this syntax.",
    "36:7 a condition is a text",
    "38:9 redshank.pack: Input should be 'core', 'extended' or 'hunting'",
    "39:3 redshank.pak: there is no such key",
    "40:12 redshank.runbook: Input should be a valid list",
    "41:26 redshank.message: unknown field 'exec.comand' (did you mean 'exec.command'?)",
    "41:43 redshank.message: unknown field 'targt' (did you mean 'target'?)",
    "42:12 redshank.expires: Input should be a valid date or datetime, month value is outside expected range of 1-12",
    "45:9 redshank.tests.match.0.evnt: there is no such key",
    "46:17 redshank.tests.match.1.repeat: Input should be greater than or equal to 1",
]
COUNT = """\
title: Count
correlation:
  type: value_sum
  rules: 5
  group-by: [actor, frob]
  timespan: 5 minutes
  condition: {lt: x, field: frob}
  generate: maybe
level: 7
"""
WRONG_IN_COUNT = [
    "3:9 correlation type value_sum is not supported; there are event_count, temporal, temporal_ordered, value_count",
    "4:10 Rule reference must be plain string or list.",
    "5:21 unknown field 'frob'; `redshank rules fields` lists what there is",
    "6:13 Timespan '5 minutes' is invalid.",
    "7:19 'x' is no valid Sigma correlation condition count",
    "7:29 unknown field 'frob'; `redshank rules fields` lists what there is",
    "8:13 Sigma correlation generate definition must be a boolean",
    "9:8 Sigma rule level must be a string",
]
EXCEPTION = """\
title: Backup
filter:
  rules: 5
  sel: {actr: backup}
  condition: [not sel]
"""
WRONG_IN_EXCEPTION = [
    "1:1 logsource is missing",
    "3:10 Sigma filter rules field must be 'any', a rule ID/name, or a list of rule IDs/names",
    "4:9 unknown field 'actr' (did you mean 'actor'?)",
    "5:3 a filter has one condition",
]
WHOLE = {
    "rule": (RULE, WRONG_IN_RULE),
    "correlation": (COUNT, WRONG_IN_COUNT),
    "filter": (EXCEPTION, WRONG_IN_EXCEPTION),
}


@pytest.mark.parametrize(("text", "wrong"), WHOLE.values(), ids=WHOLE)
def test_every_mistake_of_a_document_is_told_where_it_stands(text: str, wrong: list[str]) -> None:
    assert told(text) == wrong


HEAD = "title: X\nlogsource: {product: kubernetes}\n"
SMALL: dict[str, tuple[str, list[str]]] = {
    "nothing in it": (
        "status: test\n",
        ["1:1 title is missing", "1:1 logsource is missing", "1:1 detection is missing"],
    ),
    "no mapping": ("- a\n- b\n", ["1:1 a rule must be a mapping of keys to values"]),
    "no YAML": ("title: [", ["2:1 not YAML: did not find expected node content"]),
    "no YAML after a rule": (
        "title: X\n---\ntitle: [",
        ["1:1 logsource is missing", "1:1 detection is missing", "4:1 not"],
    ),
    "odd key": ("? [a]\n: x\n", ["1:3 not YAML: found unhashable key"]),
    "detection as text": (f"{HEAD}detection: verb\n", ["3:12 detection must be a mapping of selections"]),
    "no condition": (f"{HEAD}detection:\n  a: {{verb: x}}\n", ["3:1 condition is missing"]),
    "no selection": (f"{HEAD}detection:\n  condition: a\n", ["3:1 detection has no selection"]),
    "aliases without end": (f"{HEAD}detection:\n  a: &a [*a]\n  condition: a\n", ["3:1 Recursive YAML structure"]),
    "logsource as text": ("title: X\nlogsource: k8s\ndetection: {a: {verb: x}, condition: a}\n", ["2:12 "]),
    "our keys as text": (
        f"{HEAD}detection: {{a: {{verb: x}}, condition: a}}\nredshank: x\n",
        ["4:11 redshank: Input should"],
    ),
    "braces": (
        f"{HEAD}detection: {{a: {{verb: x}}, condition: a}}\nredshank:\n  message: '{{actor'\n",
        ["5:12 redshank.message: expected '}' before end of string"],
    ),
    "folded message": (
        f"{HEAD}detection: {{a: {{verb: x}}, condition: a}}\nredshank:\n  message: >\n    by\n    {{actr}}\n",
        ["7:6 redshank.message: unknown field 'actr' (did you mean 'actor'?)"],
    ),
    "empty correlation": (
        "title: X\ncorrelation: {}\n",
        [
            "2:1 Non-temporal Sigma correlation rule without condition",
            "2:1 Sigma correlation rule without rule references",
            "2:1 Sigma correlation rule without timespan",
            "2:1 Sigma correlation rule without type",
        ],
    ),
    "correlation as text": ("title: X\ncorrelation: x\n", ["2:14 correlation must be a mapping"]),
    "condition of a temporal one": (
        "title: X\ncorrelation:\n  {type: temporal, rules: [a], timespan: 1m, condition: {gte: 1}}\n",
        ["3:46 temporal correlations ask for all of their rules"],
    ),
    "alias": (
        "title: X\ncorrelation: {type: event_count, rules: [a, b], timespan: 1m, group-by: [who],\n"
        "  condition: {gte: 1}, aliases: {who: {a: actr}}}\n",
        ["3:34 unknown field 'who'", "3:43 unknown field 'actr'"],
    ),
    "two fields": (
        "title: X\ncorrelation: {type: value_count, rules: [a], timespan: 1m,\n"
        "  condition: {gte: 1, field: [actor, verb]}}\n",
        ["3:31 one field only can be counted"],
    ),
}


@pytest.mark.parametrize(("text", "wrong"), SMALL.values(), ids=SMALL)
def test_small_mistakes_are_told_where_they_stand(text: str, wrong: list[str]) -> None:
    found = told(text)
    assert len(found) == len(wrong)
    assert all(one.startswith(start) for one, start in zip(sorted(found), sorted(wrong), strict=True)), found


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["verb", "read", "1m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["title", "id", "tags", "related", "logsource", "detection", "filter", "correlation", "redshank", "fields", "level"]
)
PARTS = st.sampled_from(
    ["sel", "condition", "rules", "type", "timespan", "group-by", "aliases", "message", "tests", "pack"]
)


@given(st.dictionaries(KEYS, JUNK | st.dictionaries(PARTS, JUNK, max_size=4), max_size=4))
def test_whatever_stands_in_a_document_it_is_used_or_said_to_be_wrong(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document)
    loaded, errors = load_all([RuleFile("r.yml", text)])
    assert bool(loaded) != bool(errors)
    assert all(1 <= error.line <= text.count("\n") + 1 for error in errors)
