"""Posting to the webhook as an API server does."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from detector.errors import ConfigError, RedshankError
from detector.sinks.settings import read_text

EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to find who listens there
MOST = 1_000
"""Bytes of an answer that are read."""


class Proof(NamedTuple):
    """What shows that we are an API server of a cluster: a bearer token, or a certificate and its key."""

    token: str = ""
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def read(cls, token_file: Path | None, cert: Path | None, key: Path | None) -> Proof:
        """Make it of files. Raises ConfigError."""
        if (cert is None) != (key is None):
            raise ConfigError("--cert and --key go together")
        return cls("" if token_file is None else read_text(token_file, "--token-file"), cert, key)

    @property
    def given(self) -> bool:
        """Tell whether there is anything to show."""
        return bool(self.token or self.cert)


class StrangerError(RedshankError):
    """Who listens there shows another certificate than redshank would."""


def certificate_in(path: Path) -> bytes:
    """Give the first certificate of a PEM file, as DER. Raises OSError and ValueError."""
    return x509.load_pem_x509_certificates(path.read_bytes())[0].public_bytes(Encoding.DER)


def client_context(proof: Proof) -> ssl.SSLContext:
    """Make the context of a client that compares certificates by itself. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # `post` wants exactly the certificate in the server's own file: more than any CA could vouch for, and it is not for
    # us to judge by which name API servers know this machine.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if proof.cert is not None:
        try:
            context.load_cert_chain(proof.cert, proof.key, password="")
        except (OSError, ValueError) as error:
            raise ConfigError(f"--cert {proof.cert}: cannot be used with its key: {error}") from None
    return context


def post(url: str, body: bytes, proof: Proof, expected: bytes | None, timeout: float) -> tuple[int, str]:
    """Post a body; gives status and text of the answer. Over TLS the certificate must be ``expected`` (DER).

    Raises StrangerError, ConfigError, OSError (ssl.SSLError among them) and http.client.HTTPException.
    """
    parts = urlsplit(url)
    host = EVERYWHERE.get(parts.hostname or "", parts.hostname or "")
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=client_context(proof))
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout)
    )
    try:
        connection.connect()
        sock = connection.sock
        if isinstance(sock, ssl.SSLSocket) and sock.getpeercert(binary_form=True) != expected:
            raise StrangerError(f"{url} shows another certificate than the one in webhook.tls.cert")
        connection.request("POST", parts.path, body, _headers(proof))
        response = connection.getresponse()
        return response.status, response.read(MOST).decode(errors="replace").strip()
    finally:
        connection.close()


def _headers(proof: Proof) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    return {**headers, "Authorization": f"Bearer {proof.token}"} if proof.token else headers
