"""Every encoding, found by itself: it tells what matters, changes nothing, and survives whatever a client wrote."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import __version__
from detector.encodings import ENCODINGS, Encoding
from detector.encodings.jsontext import size
from detector.finding import Alert, Level, Reason, RuleInfo
from detector.pipeline import Detector
from tests.encodings.making import ALERTS, HOSTILE, MANY, RULE, SAMPLE, TEXTS, alert, closed, copied, repeated
from tests.support import raw

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "encodings"
VERSION = "0.0.0-golden"
SECRET = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl"
PASSWORD = "planted-hunter2"
EACH = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.name)


def written(encoding: Encoding, one: Alert) -> str:
    """Give an encoded alert as the text that goes over the wire."""
    encoded = encoding.encode(one)
    return encoded if isinstance(encoded, str) else orjson.dumps(encoded).decode()


def readable(encoding: Encoding, one: Alert) -> str:
    """Give an encoded alert without the escapes of JSON, CEF and Slack."""
    return written(encoding, one).replace("\\", "").replace("&amp;", "&")


def test_encodings_are_found() -> None:
    assert {"native", "ecs", "ocsf", "cef", "falco", "slack", "teams", "alertmanager", "splunk", "syslog"} <= {
        *ENCODINGS
    }


@EACH
def test_an_encoding_names_its_file_and_documents_its_format(encoding: Encoding) -> None:
    module = import_module(f"detector.encodings.{encoding.name}")
    assert encoding.limit > 0
    assert len((module.__doc__ or "").splitlines()) > 2
    assert encoding.encode.__doc__


def test_every_encoding_is_in_the_documentation() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "encodings.md"
    assert {*re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)} == {*ENCODINGS}


@EACH
@pytest.mark.parametrize("state", ["open", "closed"])
def test_an_encoding_is_as_it_was_approved(encoding: Encoding, state: str) -> None:
    """``UPDATE_GOLDEN=1`` writes the files anew, for you to read."""
    encoded = encoding.encode(alert() if state == "open" else closed(level=Level.low, samples=(), cluster=""))
    as_text = isinstance(encoded, str)
    text = encoded if isinstance(encoded, str) else orjson.dumps(encoded, option=orjson.OPT_INDENT_2).decode()
    text = text.replace(__version__, VERSION) + "\n"
    path = GOLDEN / f"{encoding.name}-{state}.{'txt' if as_text else 'json'}"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_there_is_no_approved_file_without_an_encoding() -> None:
    assert {path.stem.rpartition("-")[0] for path in GOLDEN.iterdir()} == {*ENCODINGS}


@EACH
def test_an_encoding_tells_what_matters(encoding: Encoding) -> None:
    one = alert(message="")
    text = readable(encoding, one)
    assert one.id in text
    assert f"{one.revision}" in text.replace(one.id, "")
    assert one.level.name in text.lower()
    for told in (one.actor, one.cluster, one.title, *one.targets, *one.rule.techniques, *one.rule.runbook):
        assert told in text, told
    for reason in one.reasons:
        assert reason.field in text
        assert reason.value in text
    assert one.sources[0] in text


@EACH
def test_revisions_levels_and_states_can_be_told_apart(encoding: Encoding) -> None:
    variants = [alert(level=level) for level in Level] + [alert(revision=3), closed(revision=2), alert(count=8)]
    assert len({written(encoding, one) for one in variants}) == len(variants)


@EACH
def test_encoding_is_pure(encoding: Encoding) -> None:
    one = alert()
    untouched = copied(one)
    encoded = encoding.encode(one)
    assert one == untouched
    assert encoding.encode(copied(one)) == encoded
    if isinstance(encoded, dict):
        encoded.clear()
    assert one == untouched


@EACH
@MANY
@given(one=ALERTS)
def test_whatever_a_client_wrote_the_result_is_valid_and_bounded(encoding: Encoding, one: Alert) -> None:
    encoded = encoding.encode(one)
    assert size(encoded) <= encoding.limit
    assert one.id in written(encoding, one)
    if isinstance(encoded, str):
        assert encoded.replace("\ufeff", "", 1).isprintable()


@EACH
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_attribute_breaks_an_encoding_by_itself(encoding: Encoding, text: str) -> None:
    made = [alert(**{name: text}) for name in ("actor", "cluster", "title", "message", "actor_kind")]
    made += [alert(**{name: repeated(text, times=20)}) for name in ("targets", "sources", "audit_ids")]
    made += [alert(reasons=(Reason(text, text, text, text),)), alert(samples=({**SAMPLE, "verb": text},))]
    for one in made:
        assert size(encoding.encode(one)) <= encoding.limit


@EACH
def test_an_alert_of_a_rule_with_nothing_in_it_is_encoded(encoding: Encoding) -> None:
    empty: dict[str, Any] = dict.fromkeys(("title", "cluster", "actor", "actor_kind", "message"), "")
    lists: dict[str, Any] = dict.fromkeys(("targets", "sources", "reasons", "audit_ids", "samples"), ())
    rule = RuleInfo(id=RULE.id, title="", level=Level.low, pack="")
    assert alert().id in written(encoding, alert(**empty, **lists, rule=rule))


@EACH
@MANY
@given(depth=st.integers(1, 100), leaf=TEXTS)
def test_samples_of_any_depth_are_encoded(encoding: Encoding, depth: int, leaf: str) -> None:
    nested: Any = leaf
    for _ in range(depth):
        nested = {"a": [nested]} if depth % 2 else [nested]
    assert size(encoding.encode(alert(samples=({**SAMPLE, "requestObject": nested},)))) <= encoding.limit


@pytest.fixture(scope="module")
def attacked() -> list[Alert]:
    """Make the alerts of requests in which secrets are planted, wherever a client may put them."""
    detector = Detector.load(packs="core,extended,hunting")
    exec_ref = {
        "resource": "pods",
        "namespace": "kube-system",
        "name": "web-0",
        "subresource": "exec",
        "apiVersion": "v1",
    }
    secret_ref = {"resource": "secrets", "namespace": "kube-system", "name": "db", "apiVersion": "v1"}
    events = [
        raw(
            1,
            verb="create",
            objectRef=exec_ref,
            userAgent=f"curl Bearer {SECRET}",
            requestURI=f"/api/v1/namespaces/kube-system/pods/web-0/exec?command=curl&command=token%3D{SECRET}&token={SECRET}",
        ),
        raw(
            2,
            verb="create",
            objectRef=secret_ref,
            requestObject={"kind": "Secret", "stringData": {"password": PASSWORD}, "data": {"a": SECRET}},
            responseObject={"kind": "Secret", "data": {"a": SECRET}},
        ),
        raw(3, verb="get", objectRef=secret_ref, responseObject={"kind": "Secret", "data": {"a": PASSWORD}}),
    ]
    changes = [detector.feed(event) for event in events]
    assert any(changes)
    return detector.finish()


@EACH
def test_no_planted_secret_leaves(encoding: Encoding, attacked: list[Alert]) -> None:
    assert len(attacked) >= 2
    for one in attacked:
        text = written(encoding, one)
        assert PASSWORD not in text
        assert SECRET.split(".")[1] not in text
        assert RULE.id not in text
