"""The built-in rules on the shipped logs: attacks are found with the right actor, and quiet is quiet."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from detector.finding import Alert, Level
from detector.pipeline import Detector, replay
from detector.sources import FileSource

SAMPLES = Path(__file__).resolve().parent.parent / "sample_logs"
ACTORS = {
    "secrets-dump-all-namespaces": "system:serviceaccount:legacy:ops-tool",
    "secrets-one-by-one-across-namespaces": "system:serviceaccount:legacy:ops-tool",
    "exec-across-many-pods-via-stolen-sa": "system:serviceaccount:legacy:ops-tool",
    "exec-reverse-shell": "gus.brandt@freight.example",
    "exec-cloud-metadata-imds": "alba.ruiz@freight.example",
    "attach-foreign-pod": "jan.vos@freight.example",
    "port-forward-database": "hana.weiss@freight.example",
    "anonymous-access-via-bad-binding": "system:anonymous",
    "audit-id-reuse-dedup-evasion": "jan.vos@freight.example",
    "impersonate-system-masters": "iris.cole@freight.example",
    "privileged-pod": "iris.cole@freight.example",
    "wildcard-clusterrole": "system:serviceaccount:argocd:argocd-application-controller",
    "clusterrole-escalate-bind-impersonate": "jan.vos@freight.example",
    "brute-force-bad-tokens-401": "",
}
"""Scenarios in the attack log that rules must find, and who did it (a bad token has nobody)."""


def alerts(name: str) -> list[Alert]:
    source = FileSource([str(SAMPLES / name)])
    told = [alert for _, alerts in replay(Detector.load(packs="core,extended"), source) for alert in alerts]
    return [alert for alert in told if alert.status == "closed" and alert.level >= Level.medium]


def labels(name: str) -> dict[str, str]:
    lines = (SAMPLES / name).read_bytes().splitlines()
    return {line["auditID"]: line.get("scenario", "") for line in map(orjson.loads, lines)}


@pytest.fixture(scope="module")
def attack() -> list[Alert]:
    return alerts("attack.jsonl.gz")


@pytest.mark.parametrize("scenario", ACTORS)
def test_an_attack_is_alerted_on_with_the_right_actor(attack: list[Alert], scenario: str) -> None:
    requests = {audit_id for audit_id, name in labels("attack.labels.jsonl").items() if name == scenario}
    assert ACTORS[scenario] in {alert.actor for alert in attack if requests & set(alert.audit_ids)}


def test_bad_tokens_name_the_address_that_can_be_trusted(attack: list[Alert]) -> None:
    (alert,) = [alert for alert in attack if not alert.actor]
    assert alert.sources == ("127.66.193.11",)


def test_few_alerts_of_the_attack_log_are_about_harmless_requests(attack: list[Alert]) -> None:
    known = {**labels("attack.labels.jsonl"), **labels("attack.notes.jsonl")}
    harmless = [alert.title for alert in attack if not known.keys() & set(alert.audit_ids)]
    assert len(harmless) <= 2, harmless


def test_a_quiet_log_is_quiet() -> None:
    assert [alert.title for alert in alerts("quiet.jsonl.gz")] == []
