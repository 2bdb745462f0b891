"""Certificates: what is refused, and what happens when files change."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from detector.errors import ConfigError
from detector.listen import Certificates, TLSSettings
from detector.listen.tls import names_of, server_context
from tests.listen.talking import Authority

LOCKED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAiqBM5tMGAvFQICCAAw
-----END ENCRYPTED PRIVATE KEY-----
"""


def settings_of(folder: Path, cert: str = "cert.pem", key: str = "key.pem", ca: str | None = None) -> TLSSettings:
    return TLSSettings(cert=folder / cert, key=folder / key, client_ca=folder / ca if ca else None)


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    context = server_context(Authority(tmp_path).settings(), require_client=False)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(("require", "mode"), [(True, ssl.CERT_REQUIRED), (False, ssl.CERT_OPTIONAL)])
def test_clients_are_asked_for_a_certificate(tmp_path: Path, require: bool, mode: ssl.VerifyMode) -> None:
    context = server_context(Authority(tmp_path).settings(clients=True), require_client=require)
    assert context.verify_mode == mode


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"cert": "none.pem"}, "none.pem"),
        ({"cert": "empty.pem"}, "empty.pem"),
        ({"key": "cert.pem"}, "cert.pem"),
        ({"key": "other.pem"}, "other.pem"),
        ({"key": "locked.pem"}, "pass phrase"),
        ({"ca": "none.pem"}, "none.pem"),
        ({"ca": "empty.pem"}, "empty.pem"),
    ],
)
def test_files_of_no_use_are_refused_by_name(tmp_path: Path, files: dict[str, str], named: str) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "empty.pem").touch()
    (tmp_path / "locked.pem").write_text(LOCKED)
    authority.ca.issue_cert("other").private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(ConfigError, match=named):
        Certificates(settings_of(tmp_path, **files))


def test_unchanged_files_make_no_new_context(tmp_path: Path) -> None:
    certificates = Certificates(Authority(tmp_path).settings())
    before = certificates.context
    assert not certificates.refresh()
    assert certificates.context is before


def test_a_replacement_seen_half_done_keeps_the_old_context_until_the_other_half(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificates = Certificates(authority.settings())
    before, old = certificates.context, (tmp_path / "cert.pem").read_bytes()
    authority.serve()
    new = (tmp_path / "cert.pem").read_bytes()
    (tmp_path / "cert.pem").write_bytes(old)
    assert not certificates.refresh()
    assert certificates.context is before
    (tmp_path / "cert.pem").write_bytes(new)
    assert certificates.refresh()
    assert certificates.context is not before


def test_files_that_vanish_keep_the_old_context(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificates = Certificates(authority.settings())
    before = certificates.context
    (tmp_path / "key.pem").unlink()
    assert not certificates.refresh()
    assert certificates.context is before


def test_all_names_of_a_certificate_count() -> None:
    certificate = {
        "subject": ((("organizationName", "system:masters"),), (("commonName", "kube-apiserver"),)),
        "subjectAltName": (("DNS", "api.prod"), ("URI", "spiffe://prod/api"), ("IP Address", "10.0.0.1")),
    }
    assert names_of(certificate) == {"kube-apiserver", "api.prod", "spiffe://prod/api", "10.0.0.1"}


@pytest.mark.parametrize("certificate", [None, {}])
def test_without_a_certificate_there_are_no_names(certificate: dict[str, object] | None) -> None:
    assert names_of(certificate) == frozenset()
