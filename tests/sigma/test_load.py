"""Loading: what is not supported or wrong is an error that says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import RuleError
from detector.sigma.load import load, load_all
from detector.sigma.source import RuleFile, documents, read_files

GOOD = """\
title: Read
id: 9b1f7f0c-5a0e-4c55-9d5c-0e6a3e4d2f11
name: read
logsource: {product: kubernetes, service: audit}
detection:
  sel:
    objectRef.resource: secrets
  condition: sel
level: high
"""
COUNT = """\
---
title: Count
correlation:
  type: event_count
  rules: [read]
  group-by: [actor]
  timespan: 5m
  condition: {gte: 3}
level: high
"""


def refused(text: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        load([RuleFile("r.yml", text)])
    return caught.value


WRONG: list[tuple[str, str, str, str]] = [
    # what, text to replace, replacement, start of the message with its place
    ("no YAML", "title: Read", "title: [", "r.yml:"),
    ("not a mapping", GOOD, "- a\n- b\n", "r.yml:1:1: a rule must be a mapping"),
    ("field", "objectRef.resource", "objectRef.resourc", "r.yml:7:5: unknown field 'objectRef.resourc' (did you mean"),
    ("unknown root", "objectRef.resource", "frobnicate", "r.yml:7:5: unknown field 'frobnicate'"),
    ("selection", "condition: sel", "condition: sel and gone", "r.yml:8:22: condition: there is no selection 'gone'"),
    ("selector", "condition: sel", "condition: 1 of x_*", "r.yml:8:19: condition: no selection is named like 'x_*'"),
    ("condition", "condition: sel", "condition: sel and", "r.yml:8:14: condition: its end is missing"),
    ("pipe", "condition: sel", "condition: sel | count() > 3", "r.yml:8:14: condition: The pipe"),
    ("level", "level: high", "level: huge", "r.yml:9:8: 'huge'"),
    ("logsource", "product: kubernetes", "product: windows", "r.yml:4:22: logsource is not product: kubernetes"),
    ("modifier", "objectRef.resource:", "objectRef.resource|frob:", "r.yml:7:24: unknown modifier 'frob'"),
    ("placeholder", "objectRef.resource: secrets", "objectRef.name|expand: '%x%'", "r.yml:7:28: placeholders"),
    ("time", "objectRef.resource: secrets", "stageTimestamp|hour: 3", "r.yml:7:26: modifiers minute, hour"),
    (
        "look-around",
        "objectRef.resource: secrets",
        "objectRef.name|re: '(?=a)'",
        "r.yml:7:24: regular expression '(?=a)'",
    ),
    ("long", "objectRef.resource: secrets", f"objectRef.name|re: '{'a' * 1001}'", "r.yml:7:24: the regular expression"),
    ("cidr", "objectRef.resource: secrets", "source.ip|cidr: 1.2.3.4/33", "r.yml:7:21: "),
    ("ours", "level: high", "level: high\nredshank: {pak: core}", "r.yml:10:12: redshank.pak: there is no such key"),
    ("our pack", "level: high", "level: high\nredshank: {pack: cor}", "r.yml:10:18: redshank.pack: Input should be"),
]


@pytest.mark.parametrize(("old", "new", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_rule_is_refused_with_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert str(refused(GOOD.replace(old, new))).startswith(message)


WRONG_COUNTS: list[tuple[str, str, str, str]] = [
    ("sum", "event_count", "value_sum", "correlation type value_sum is not supported"),
    ("type", "event_count", "frob_count", "'frob_count' is no valid Sigma correlation type"),
    ("lt", "gte: 3", "lt: 3", "correlations can ask for gte or gt only"),
    ("temporal", "event_count", "temporal", "temporal correlations ask for all of their rules"),
    ("reference", "[read]", "[gone]", "correlation: 'gone': there is no such rule"),
    ("group-by", "[actor]", "[frob]", "unknown field 'frob'"),
    ("timespan", "5m", "5 minutes", "Timespan '5 minutes' is invalid"),
]


@pytest.mark.parametrize(("old", "new", "message"), [row[1:] for row in WRONG_COUNTS], ids=[r[0] for r in WRONG_COUNTS])
def test_a_wrong_correlation_is_refused(old: str, new: str, message: str) -> None:
    error = refused(GOOD + COUNT.replace(old, new))
    assert message in error.message
    assert error.line >= 11


def test_correlations_of_correlations_are_refused() -> None:
    chained = COUNT.replace("title: Count", "title: Chained").replace("[read]", "[count]")
    error = refused(GOOD + COUNT.replace("title: Count", "title: Count\nname: count") + chained)
    assert "correlations of correlations are not supported" in error.message


FILTER = """\
---
title: Backup
logsource: {product: kubernetes, service: audit}
filter:
  rules: [read]
  sel: {actor: backup}
  condition: not sel
redshank: {owner: sre, reason: nightly, expires: 2030-01-31}
"""


def test_a_filter_for_a_rule_that_is_not_there_is_refused() -> None:
    load([RuleFile("r.yml", GOOD + FILTER)])
    error = refused(GOOD + FILTER.replace("[read]", "[reed]"))
    assert str(error).startswith("r.yml:14:11: filter: there is no rule 'reed'")


def test_all_errors_are_found_not_only_the_first() -> None:
    bad = GOOD.replace("condition: sel", "condition: gone")
    loaded, errors = load_all([RuleFile("a.yml", bad), RuleFile("b.yml", "["), RuleFile("c.yml", GOOD)])
    assert [error.path for error in errors] == ["a.yml", "b.yml"]
    assert [one.name for one in loaded] == ["read"]


def test_an_id_used_twice_is_an_error() -> None:
    error = refused(f"{GOOD}---\n{GOOD}")
    assert "is already used in r.yml" in error.message
    assert error.line == 12


def test_metadata_comes_along() -> None:
    text = GOOD + (
        "tags: [attack.credential-access, attack.t1552.007]\nfalsepositives: [backups]\n"
        "redshank: {pack: extended, answers: [secret-get], guide: G, threat_matrix: [MS-TA9025], runbook: [ask]}\n"
    )
    (info,) = load([RuleFile("r.yml", text)]).infos()
    assert (info.tactics, info.techniques, info.threat_matrix) == (
        ("credential-access",),
        ("T1552.007",),
        ("MS-TA9025",),
    )
    assert (info.pack, info.answers, info.guide, info.runbook) == ("extended", ("secret-get",), "G", ("ask",))
    assert info.falsepositives == ("backups",)


def test_files_are_read_from_folders_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("z.yml", "b/a.yaml", "notes.txt"):
        (tmp_path / name).write_text(GOOD)
    assert [Path(file.path).name for file in read_files([tmp_path])] == ["a.yaml", "z.yml"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"title: \xe4")
    for path, message in ((tmp_path / "gone", "no such file"), (tmp_path / "latin.yml", "cannot read")):
        with pytest.raises(RuleError, match=message):
            read_files([path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleError, match="no rule files"):
        read_files([tmp_path / "empty"])


@pytest.mark.parametrize("opener", ["[", "{a: ", "- "])
@pytest.mark.parametrize("times", [4_000, 100_000])
def test_yaml_without_a_bottom_is_an_error_and_not_the_end(opener: str, times: int) -> None:
    assert refused(f"title:\n {opener * times}").path == "r.yml"


def test_empty_documents_are_passed_over() -> None:
    assert [document.number for document in documents(RuleFile("r.yml", f"---\n---\n{GOOD}"))[0]] == [1]
