"""The test of `redshank doctor`: which link is named when a daemon answers like this."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from detector.config import Settings
from detector.errors import ConfigError, StoreError
from detector.listen import hash_token
from detector.report.doctor import Check
from detector.service.client import Client
from detector.service.doctor import NOTHING, Proof, cluster_of, examine
from detector.service.doctor.chain import Chain
from detector.service.marked import MARKS, URI
from detector.sinks.settings import TEST_RULE

PROD: dict[str, Any] = {"webhook": {"clusters": {"prod": {"tokens": [hash_token("t")]}}}}


class Answers(Client):
    """A daemon whose answers are made up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folded, self.alerts_on = 7, True
        self.open: list[str] = []
        """Marks of alerts that are open."""
        self.sinks = ["siem"]
        self.waiting: list[dict[str, Any]] = []
        self.troubles: dict[str, str] = {}
        self.injected: list[Any] = []
        self.error: dict[str, Exception] = {}
        self.audit_id = ""

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        if path in self.error:
            raise self.error[path]
        if path == "/api/tests":
            self.injected.append(body)
            self.audit_id = "injected"
            return {"audit_id": "injected"}
        if path == "/api/alerts":
            return {"alerts": self.alerts(query)}
        return {
            "/api/status": {"webhook": "http://here", "last": 7, "folded": self.folded, "sinks": self.sinks},
            "/api/health": {"ready": "yes", "troubles": self.troubles},
            "/api/alerts/a1/deliveries": {"deliveries": self.waiting},
        }[path]

    def alerts(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        assert query["rule"] == TEST_RULE
        known = [{"id": f"old-{mark}", "targets": [f"{URI}{mark}"], "audit_ids": [mark]} for mark in self.open]
        ours = {"id": "a1", "targets": [], "audit_ids": [self.audit_id]}
        return [*known, ours] if self.audit_id and self.alerts_on else known


class Scripted(Chain):
    """A test whose batch is posted to nowhere."""

    client: Answers
    answer: tuple[int, str] | Exception = (200, "accepted")
    url = body = ""

    def _post(self, url: str, body: bytes) -> tuple[int, str]:
        self.url, self.body = url, body.decode()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer[0] == 200:
            self.client.audit_id = self.body.split('"auditID":"')[1].split('"')[0]
        return self.answer


@pytest.fixture
def chain(tmp_path: Path) -> Scripted:
    settings = Settings(data_dir=tmp_path, **PROD)
    return Scripted(settings, Answers(tmp_path), "prod", proof=NOTHING, wait=0.05)


def outcome(chain: Chain, *, tested: bool = True) -> list[tuple[str, str]]:
    return [(check.part, check.verdict) for check in chain.checks(tested=tested, tell=lambda _: None)]


def fine(*parts: str) -> list[tuple[str, str]]:
    return [(part, "ok") for part in parts]


FOLDED = fine("webhook", "journal", "fold")


def test_a_test_that_arrives_everywhere_is_fine(chain: Scripted) -> None:
    chain.client.sinks = ["siem", "chat"]
    assert outcome(chain) == [*FOLDED, *fine("alert", "sink siem", "sink chat")]
    assert chain.url == "http://here/audit/prod"


def test_it_takes_a_mark_that_no_open_alert_has(chain: Scripted) -> None:
    chain.client.open = [mark for mark in MARKS if mark != "5e"]
    assert outcome(chain)[-1] == ("sink siem", "ok")
    assert f'"{URI}5e"' in chain.body


def test_when_all_marks_are_taken_nothing_is_sent(chain: Scripted) -> None:
    chain.client.open = list(MARKS)
    assert outcome(chain) == [("webhook", "warning")]
    assert not chain.body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((404, "no such cluster"), [("webhook", "broken")]),
        ((429, "the journal is full"), [("webhook", "ok"), ("journal", "broken")]),
        ((503, "an error"), [("webhook", "ok"), ("journal", "broken")]),
        (ConnectionRefusedError(111, "Connection refused"), [("webhook", "broken")]),
        (ssl.SSLError(1, "handshake"), [("webhook", "broken")]),
    ],
)
def test_what_does_not_take_the_batch_is_named_and_nothing_after_it(
    chain: Scripted, answer: Any, expected: list[tuple[str, str]]
) -> None:
    chain.answer = answer
    assert outcome(chain) == expected
    assert not chain.client.injected


@pytest.mark.parametrize("status", [401, 403])
def test_where_proof_is_wanted_the_test_goes_around(chain: Scripted, status: int) -> None:
    chain.answer = (status, "not authenticated")
    assert outcome(chain) == [("webhook", "warning"), *fine("journal", "fold", "alert", "sink siem")]
    ((body,),) = [chain.client.injected]
    assert body["cluster"] == "prod"


def test_proof_that_is_not_believed_is_no_reason_to_go_around(chain: Scripted) -> None:
    chain.answer, chain.proof = (401, "not authenticated"), Proof("wrong")
    assert outcome(chain) == [("webhook", "broken")]


def test_a_journal_that_refuses_the_test_is_named(chain: Scripted) -> None:
    chain.answer = (401, "not authenticated")
    chain.client.error["/api/tests"] = StoreError("full")
    assert outcome(chain) == [("webhook", "warning"), ("journal", "broken")]


def test_a_fold_that_does_not_come_to_it_is_named(chain: Scripted) -> None:
    chain.client.folded, chain.client.alerts_on = 6, False
    assert outcome(chain) == [*fine("webhook", "journal"), ("fold", "broken")]


@pytest.mark.parametrize(("tested", "verdict"), [(True, "broken"), (False, "warning")])
def test_a_batch_of_which_no_alert_comes_is_told(chain: Scripted, tested: bool, verdict: str) -> None:
    chain.client.alerts_on = False
    assert outcome(chain, tested=tested) == [*FOLDED, ("alert", verdict)]


def row(sink: str, **more: Any) -> dict[str, Any]:
    return {"sink": sink, "tries": 0, "error": "", "buried": False, **more}


def test_each_sink_is_told_by_what_became_of_its_delivery(chain: Scripted) -> None:
    chain.client.sinks = ["good", "refused", "paused", "slow", "gone"]
    rows = [row("refused", tries=2, error="401 bad token"), row("paused"), row("slow")]
    chain.client.waiting = [*rows, row("gone", tries=1, error="400 no", buried=True)]
    chain.client.troubles = {"sink paused": "no answer"}
    checks = {check.part: check for check in chain.checks(tested=True, tell=lambda _: None)}
    said = {part: check.what for part, check in checks.items() if part.startswith("sink")}
    assert said == {
        "sink good": "has the test alert",
        "sink refused": "401 bad token (2 tries)",
        "sink paused": "takes nothing: no answer",
        "sink gone": "400 no (1 try)",
        "sink slow": "has not taken the test alert within 0.05 s",
    }
    assert [part for part, check in checks.items() if check.verdict == "ok"][-1] == "sink good"


def test_where_there_are_no_sinks_that_is_told(chain: Scripted) -> None:
    chain.client.sinks = []
    assert outcome(chain)[-1] == ("sinks", "warning")


def test_a_daemon_that_ends_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(self: Client, method: str, path: str, body: Any = None, **query: Any) -> Any:
        if path in {"/api/status", "/api/health"}:
            status = {"version": "", "started_at": "", "clusters": {}, "sinks": [], "rules": "", "webhook": ""}
            status["outbox"] = {}
            return {**status, "last": 0, "folded": 0, "lag": 0.0, "restarts": 0, "ready": "yes", "troubles": {}}
        raise ConfigError("no daemon answers")

    monkeypatch.setattr(Client, "ask", ask)
    checks: list[Check] = list(examine(Settings(data_dir=tmp_path), wait=0.05, tell=lambda _: None))
    assert checks[-1].part == "daemon"
    assert "no daemon answers" in checks[-1].what


def test_the_test_is_of_a_cluster_that_may_post(tmp_path: Path) -> None:
    anybody, prod = Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, **PROD)
    assert [cluster_of(anybody, ""), cluster_of(anybody, "x"), cluster_of(prod, "")] == ["doctor", "x", "prod"]
    for settings, asked in ((anybody, "../x"), (prod, "x")):
        with pytest.raises(ConfigError, match="--cluster"):
            cluster_of(settings, asked)
