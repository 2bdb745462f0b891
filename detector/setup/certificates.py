"""Trial certificates: a CA of one's own, and what it signs for redshank and for API servers (RFC 5280).

P-256 keys, as TLS 1.2 and 1.3 and every API server understand them. Keys are PKCS #8 without a pass phrase.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from detector.errors import ConfigError

CA_DAYS, DAYS = 3_650, 365
"""Days that the CA, and what it signs, is valid."""
EARLIER = timedelta(hours=1)
"""A certificate is valid from before its making: the clocks of two machines differ."""
MAX_NAME = 64
"""Characters of a common name (ub-common-name)."""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A CA. `pair` is what must be kept to sign more; `until` the end of everything it signs."""

    def __init__(self, certificate: x509.Certificate, key: Key, pair: Pair) -> None:
        self.certificate, self.key, self.pair = certificate, key, pair
        self.until = certificate.not_valid_after_utc

    @classmethod
    def new(cls, now: datetime) -> Authority:
        """Make a CA that signs certificates and no other CAs."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("redshank trial CA")
        builder = (
            _begun(name, key.public_key(), now, now + timedelta(days=CA_DAYS))
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        )
        certificate = builder.sign(key, hashes.SHA256())
        return cls(certificate, key, Pair(_pem(certificate), _key_pem(key)))

    @classmethod
    def load(cls, pair: Pair, now: datetime) -> Authority:
        """Read a CA made before, or one of the user's own.

        :raises ConfigError: not PEM, not a pair, not a CA, neither EC nor RSA, or no longer valid.
        """
        try:
            certificate = x509.load_pem_x509_certificate(pair.certificate)
            key = serialization.load_pem_private_key(pair.key, None)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except (ValueError, TypeError, x509.ExtensionNotFound) as error:
            raise ConfigError(f"ca.crt and ca.key hold no usable CA: {error}; move them away for a new one") from None
        if not isinstance(key, Key) or key.public_key() != certificate.public_key():
            raise ConfigError("ca.crt and ca.key do not belong together; move them away for new ones")
        if not constraints.ca or certificate.not_valid_after_utc <= now:
            raise ConfigError("ca.crt is not of a CA, or no longer valid; move ca.crt and ca.key away for a new one")
        return cls(certificate, key, pair)

    def server(self, hosts: Iterable[str], now: datetime) -> Pair:
        """Sign a certificate for a server that is reached under these names and addresses."""
        names = list(dict.fromkeys(hosts))
        alternatives = x509.SubjectAlternativeName([_general_name(one) for one in names])
        return self._signed("redshank", ExtendedKeyUsageOID.SERVER_AUTH, now, alternatives)

    def client(self, name: str, now: datetime) -> Pair:
        """Sign a certificate for a client with this common name.

        :raises ConfigError: the name is too long for a certificate.
        """
        if len(name) > MAX_NAME:
            raise ConfigError(f"{name!r} is too long for a certificate ({MAX_NAME} letters): use --token instead")
        return self._signed(name, ExtendedKeyUsageOID.CLIENT_AUTH, now)

    def end_of(self, now: datetime) -> datetime:
        """Give the end of what is signed now."""
        return min(self.until, now + timedelta(days=DAYS))

    def _signed(
        self, name: str, purpose: x509.ObjectIdentifier, now: datetime, alternatives: x509.ExtensionType | None = None
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _begun(_name(name), key.public_key(), now, self.end_of(now))
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(_issuer(self.certificate, self.key.public_key()), critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return Pair(_pem(builder.sign(self.key, hashes.SHA256())), _key_pem(key))


def _begun(name: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _issuer(certificate: x509.Certificate, key: PublicKey) -> x509.AuthorityKeyIdentifier:
    """Name the key of a CA as the CA itself does."""
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
