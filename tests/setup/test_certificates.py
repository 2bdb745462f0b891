"""Trial certificates say what they are for, and only that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from detector.errors import ConfigError
from detector.setup.certificates import Authority, Pair

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new(NOW)


def read(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def store(authority: Authority, now: datetime) -> PolicyBuilder:
    return PolicyBuilder().store(Store([authority.certificate])).time(now)


def rsa_authority(*, days: int = 100, ca: bool = True) -> Pair:
    """Make a CA as others make it, without naming its key."""
    key, name = rsa.generate_private_key(65_537, 2_048), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Own")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return Pair(certificate.public_bytes(encoding), plain)


@pytest.mark.parametrize("host", ["redshank.example", "10.0.0.5", "fd00::5"])
def test_a_server_is_believed_under_each_of_its_names(authority: Authority, host: str) -> None:
    server = read(authority.server(["redshank.example", "10.0.0.5", "fd00::5", "10.0.0.5"], NOW))
    alternatives = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    subject = next(one for one in alternatives if str(one.value) == host)
    assert isinstance(subject, x509.DNSName | x509.IPAddress)
    assert store(authority, NOW).build_server_verifier(subject).verify(server, [])


def test_a_client_is_believed_as_a_client_only(authority: Authority) -> None:
    client = read(authority.client("kube-apiserver-prod", NOW))
    purposes = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert client.subject.rfc4514_string() == "CN=kube-apiserver-prod"
    client.verify_directly_issued_by(authority.certificate)


def test_what_is_signed_ends_after_a_year_and_never_after_its_ca(authority: Authority) -> None:
    assert read(authority.client("a", NOW)).not_valid_after_utc == NOW + 365 * DAY
    late = NOW + 3_600 * DAY
    assert read(authority.client("a", late)).not_valid_after_utc == authority.until == NOW + 3_650 * DAY


def test_a_clock_that_is_a_little_behind_is_no_hindrance(authority: Authority) -> None:
    behind = NOW - timedelta(minutes=10)
    server = read(authority.server(["a.example"], NOW))
    assert store(authority, behind).build_server_verifier(x509.DNSName("a.example")).verify(server, [])


def test_the_ca_signs_no_other_ca(authority: Authority) -> None:
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_a_ca_made_before_signs_on(authority: Authority) -> None:
    again = Authority.load(authority.pair, NOW)
    assert again.pair == authority.pair
    read(again.client("a", NOW)).verify_directly_issued_by(authority.certificate)


def test_a_ca_of_ones_own_is_taken_as_it_is() -> None:
    own = rsa_authority()
    authority = Authority.load(own, NOW)
    assert authority.pair == own
    read(authority.client("a", NOW)).verify_directly_issued_by(authority.certificate)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (Pair(b"", b""), "no usable CA"),
        (Pair(Authority.new(NOW).pair.certificate, Authority.new(NOW).pair.key), "do not belong together"),
        (rsa_authority(days=0), "no longer valid"),
        (rsa_authority(ca=False), "not of a CA"),
    ],
    ids=["empty", "mixed", "old", "no CA"],
)
def test_a_ca_of_no_use_is_refused_with_what_to_do(pair: Pair, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said}.*move"):
        Authority.load(pair, NOW)


def test_a_name_too_long_for_a_certificate_is_refused_with_another_way(authority: Authority) -> None:
    assert read(authority.client("a" * 64, NOW)).subject.rfc4514_string() == f"CN={'a' * 64}"
    with pytest.raises(ConfigError, match="--token"):
        authority.client("a" * 65, NOW)
