"""The embedding API, and the built-in rules on the shipped logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

import detector
from detector import Detector, Finding, Level
from detector.errors import ConfigError
from detector.pipeline import builtin_rules, rule_files
from tests.support import correlation, raw, rule, rule_file

READ: dict[str, Any] = {"verb": "get", "objectRef": {"resource": "secrets", "namespace": "prod", "name": "db"}}


def test_feed_gives_the_findings_of_one_event() -> None:
    one = Detector.load(rules=[rule_file(rule("read", level="high"))])
    (found,) = one.feed(raw(1, **READ))
    assert isinstance(found, Finding)
    assert (found.title, found.level, found.actor, found.audit_id) == ("read", Level.high, "jane@example.com", "test-1")
    assert str(found.reasons[0]) == "objectRef.resource = secrets"
    assert one.feed(raw(2)) == []


def test_state_is_inside() -> None:
    rules = [rule_file(rule("read"), correlation("three", "event_count", ["read"], {"gte": 3}))]
    one = Detector.load(rules=rules)
    assert [len(one.feed(raw(n, at=n, **READ))) for n in range(5)] == [0, 0, 1, 0, 0]


def test_feed_takes_lists_and_wrappings() -> None:
    one = Detector.load(rules=[rule_file(rule("read"))])
    items = [orjson.loads(raw(n, **READ)) for n in range(3)]
    assert len(one.feed(orjson.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items}))) == 3


def test_feed_takes_lines() -> None:
    one = Detector.load(rules=[rule_file(rule("read"))])
    assert len(one.feed(b"\n".join([raw(1, **READ), b"{", raw(2, **READ)]))) == 2
    assert one.fold.stats().rejected == 1


def test_findings_hold_no_tokens() -> None:
    one = Detector.load(rules=[rule_file(rule("read", fields=["userAgent"]))])
    (found,) = one.feed(raw(1, userAgent="curl Bearer s3cr3t-s3cr3t", **READ))
    assert "s3cr3t" not in str(found)


@pytest.mark.parametrize("junk", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"kind":"Pod"}', b'{"a":' * 5000])
def test_junk_is_counted_and_raises_nothing(junk: bytes) -> None:
    one = Detector.load(rules=[rule_file(rule("read"))])
    assert one.feed(junk) == []
    assert one.fold.stats().rejected + one.fold.stats().skipped == 1


def test_secrets_are_blanked_before_anything_looks() -> None:
    body = {"kind": "Secret", "data": {"password": "hunter2"}}
    keywords = rule("keyword", {"keywords": ["hunter2"], "condition": "keywords"})
    one = Detector.load(rules=[rule_file(keywords)])
    assert not one.feed(raw(1, **{**READ, "requestObject": body}))


def test_packs_are_names_with_commas_or_a_list() -> None:
    extended = rule("extended", redshank={"pack": "extended"})
    for packs, wanted in (("core", 0), ("core,extended", 1), ("core, extended", 1), (["extended"], 1)):
        one = Detector.load(rules=[rule_file(extended)], packs=packs)
        assert len(one.feed(raw(1, **READ))) == wanted


def test_a_pack_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown pack 'cor'"):
        Detector.load(packs="cor")


def test_the_builtin_rules_load_and_are_many() -> None:
    assert builtin_rules().is_dir()
    assert len(Detector.load(packs="core,extended").fold.rules.rules) >= 30
    assert len(rule_files()) >= 20


def test_the_package_says_what_it_has() -> None:
    assert detector.Detector is Detector
    with pytest.raises(AttributeError):
        _ = detector.nothing
    assert Path(str(detector.__file__)).with_name("py.typed").exists()


def test_what_is_to_be_blanked_is_seen_by_no_rule() -> None:
    rules = [rule_file(rule("agent", {"sel": {"userAgent|contains": "hunter2"}, "condition": "sel"}))]
    assert len(Detector.load(rules=rules).feed(raw(1, userAgent="hunter2"))) == 1
    assert Detector.load(rules=rules, redact=["userAgent"]).feed(raw(1, userAgent="hunter2")) == []


def test_what_cannot_be_blanked_is_told() -> None:
    with pytest.raises(ConfigError, match="'verb' begins with none of requestObject"):
        Detector.load(rules=[], redact=["verb"])
