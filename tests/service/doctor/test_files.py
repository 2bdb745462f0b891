"""What `redshank doctor` sees without a daemon: certificates, disk, rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from detector.config import Settings
from detector.event import DAY, SECOND
from detector.report.doctor import Check
from detector.service.configuration import digest_of, rules_of
from detector.service.doctor import files
from detector.store.journal import RESERVE, Journal
from tests.store.making import NOW, append
from tests.support import rule

TODAY = datetime.now(UTC).replace(microsecond=0)


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder, **more)


def issued(folder: Path, name: str, days: float) -> Path:
    """Write a certificate that is valid for some days from now."""
    certificate = trustme.CA().issue_cert("localhost", not_after=TODAY + timedelta(days=days))
    path = folder / name
    path.write_bytes(certificate.cert_chain_pems[0].bytes())
    return path


def certificate_checks(whole: Settings) -> dict[str, Check]:
    return {check.part: check for check in files.certificates(whole, int(TODAY.timestamp()) * SECOND)}


def web(cert: Path, client_ca: Path | None = None) -> dict[str, Any]:
    return {"tls": {"cert": cert, "key": cert, "client_ca": client_ca}}


@pytest.mark.parametrize(
    ("days", "verdict", "said"),
    [
        (-1, "broken", "expired on"),
        (13.5, "warning", "13 days from now"),
        (15, "ok", "valid until"),
    ],
)
def test_a_certificate_is_told_by_the_days_it_has_left(tmp_path: Path, days: float, verdict: str, said: str) -> None:
    path = issued(tmp_path, "cert.pem", days)
    (check,) = certificate_checks(settings(tmp_path, webhook=web(path))).values()
    assert (check.part, check.verdict) == ("certificate of webhook", verdict)
    assert said in check.what
    assert str(path) in check.what


def test_a_certificate_that_is_not_valid_yet_is_told(tmp_path: Path) -> None:
    whole = settings(tmp_path, web=web(issued(tmp_path, "cert.pem", 10)))
    (check,) = files.certificates(whole, SECOND)
    assert check.verdict == "broken"
    assert "not valid before" in check.what


@pytest.mark.parametrize("content", [None, b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cert.pem"
    if content is not None:
        path.write_bytes(content)
    (check,) = certificate_checks(settings(tmp_path, web=web(path))).values()
    assert check.verdict == "broken"
    assert str(path) in check.what


def test_one_ca_of_the_clients_that_is_valid_is_enough(tmp_path: Path) -> None:
    good, bundle = issued(tmp_path, "cert.pem", 100), tmp_path / "ca.pem"
    bundle.write_bytes(good.read_bytes() + issued(tmp_path, "old.pem", -5).read_bytes())
    checks = certificate_checks(settings(tmp_path, webhook=web(good, bundle), web=web(bundle)))
    assert {part: check.verdict for part, check in checks.items()} == {
        "certificate of webhook": "ok",
        "certificate of the clients of webhook": "ok",
        "certificate of web": "broken",
    }


def test_what_we_show_to_destinations_is_looked_at_too(tmp_path: Path) -> None:
    old = issued(tmp_path, "old.pem", -5)
    sink = {"name": "siem", "type": "http", "url": "https://siem", "tls": {"cert_file": old}}
    assert certificate_checks(settings(tmp_path, sinks=[sink]))["certificate of sink siem"].verdict == "broken"


@contextmanager
def journal(folder: Path, *times: int) -> Iterator[None]:
    """Write a journal of incompressible entries received at some times."""
    one = Journal(folder / "journal.db")
    try:
        for at in times:
            append(one, os.urandom(1 << 20), at=at)
        yield
    finally:
        one.close()


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Have so many bytes free on the disk."""
    known = list(os.statvfs("/"))
    known[1], known[4] = 1, size  # f_frsize, f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(known))


@pytest.mark.parametrize(
    ("limit", "disk", "verdict", "said"),
    [
        ("4GiB", 1 << 40, "ok", "it keeps all 7 d"),
        ("16MiB", 1 << 40, "warning", "set store.journal_limit to "),
        ("4GiB", RESERVE + (1 << 20), "warning", "give it "),
        ("4GiB", RESERVE - 1, "broken", "nothing more is taken in"),
    ],
)
def test_the_disk_is_told_by_how_long_the_journal_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, disk: int, verdict: str, said: str
) -> None:
    with journal(tmp_path, NOW - DAY, NOW - DAY // 2, NOW):
        free(monkeypatch, disk)
        check = files.disk(settings(tmp_path, store={"journal_limit": limit}), NOW)
    assert check.verdict == verdict
    assert said in f"{check.what}; {check.todo}"


def test_a_young_journal_foretells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1 << 40)
    for times in ((), (NOW - 60 * SECOND, NOW)):
        with journal(tmp_path, *times):
            check = files.disk(settings(tmp_path, store={"journal_limit": "16MiB"}), NOW)
        assert (check.verdict, "too young" in check.what) == ("ok", True)


def test_no_journal_is_told(tmp_path: Path) -> None:
    assert files.disk(settings(tmp_path), NOW).verdict == "broken"


def test_rules_are_compared_with_those_in_force(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text(yaml.safe_dump(rule("Mine", level="high", id="7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a0")))
    whole = settings(tmp_path, rules={"builtin": False, "paths": [mine]})
    running = digest_of(rules_of(whole.rules))
    check, tested = files.rules(whole, running)
    assert (check.verdict, check.what, tested) == ("ok", "1 rule of core, extended", False)
    assert files.rules(whole, None)[0].verdict == "ok"
    assert files.rules(whole, "other")[0].verdict == "warning"
    mine.write_text("title: broken")
    assert files.rules(whole, running)[0].verdict == "broken"


def test_the_shipped_rules_have_that_of_the_test(tmp_path: Path) -> None:
    assert files.rules(settings(tmp_path), None)[1]
