"""TLS contexts, made anew when the files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from detector.errors import ConfigError
from detector.listen.settings import TLSSettings

log = logging.getLogger(__name__)

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

Fingerprint = tuple[tuple[int, int, int] | None, ...]


def server_context(settings: TLSSettings, *, require_client: bool) -> ssl.SSLContext:
    """Make the context of a server; `require_client` refuses clients without a certificate of ``client_ca``.

    :raises ConfigError: a file is missing or unreadable, is not PEM, or key and certificate are no pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.cert, settings.key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(f"TLS: {settings.cert} and {settings.key} are of no use: {_why(error)}") from None
    if settings.client_ca is not None:
        _trust_clients(context, settings.client_ca, require_client)
    return context


def _trust_clients(context: ssl.SSLContext, path: Path, require: bool) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"TLS: {path} holds no usable CA certificates: {_why(error)}") from None
    context.verify_mode = ssl.CERT_REQUIRED if require else ssl.CERT_OPTIONAL


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not PEM").replace("_", " ").lower()
        return f"{reason}; give PEM files that belong together, the key without a pass phrase"
    return str(getattr(error, "strerror", None) or error)


def names_of(certificate: dict[str, Any] | None) -> frozenset[str]:
    """Give the names in a peer's certificate as `ssl` describes it: common names, DNS names, URIs, IP addresses."""
    if not certificate:
        return frozenset()
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return frozenset([*subject, *(value for _, value in certificate.get("subjectAltName", ()))])


class Certificates:
    """The context in force. While new files cannot be used, the old context stays."""

    def __init__(self, settings: TLSSettings, *, require_client: bool = False) -> None:
        self.settings, self.require_client = settings, require_client
        self._seen = self._fingerprint()
        self.context = server_context(settings, require_client=require_client)

    def refresh(self) -> bool:
        """Look at the files again; True when there is a new context."""
        now = self._fingerprint()
        if now == self._seen:
            return False
        self._seen = now
        try:
            self.context = server_context(self.settings, require_client=self.require_client)
        except ConfigError as error:
            # A replacement of two files is seen half done; the other half changes the fingerprint again.
            log.warning("the certificates changed and cannot be used, the old ones stay: %s", error)
            return False
        log.info("the certificates of %s were replaced", self.settings.cert)
        return True

    def _fingerprint(self) -> Fingerprint:
        files = (self.settings.cert, self.settings.key, self.settings.client_ca)
        return tuple(_stamp(path) for path in files if path is not None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
