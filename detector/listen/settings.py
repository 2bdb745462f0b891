"""Settings that everything that listens has: address, TLS, limits."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, Field, PositiveInt

from detector.durations import Duration

MAX_PORT = 65_535


class Address(NamedTuple):
    """Where to listen. An empty host means every address of the machine; port 0 any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``, ``[::1]:port`` or ``:port``; ValueError says what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
            raise ValueError(f"{text!r} is not an address: write host:port, such as 127.0.0.1:8889")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} is ambiguous: put an IPv6 address in brackets, such as [::1]:8889")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host; a name other than localhost is taken not to be."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _address(text: str) -> str:
    return str(Address.parse(text))


_TOKEN_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def _token_hash(text: str) -> str:
    match = _TOKEN_HASH.fullmatch(text.strip().lower())
    if match is None:
        # The text is not repeated: a plain token may have been written here.
        raise ValueError("a token is given by its hash: sha256: and 64 hex digits, as of `printf %s TOKEN | sha256sum`")
    return f"sha256:{match[1]}"


ListenAddress = Annotated[str, AfterValidator(_address)]
TokenHash = Annotated[str, AfterValidator(_token_hash)]


def hash_token(token: str) -> str:
    """Give what stands in a config for a bearer token. Tokens are random and long, so that one round is enough."""
    return f"sha256:{sha256(token.encode(errors='surrogateescape')).hexdigest()}"


def bearer(authorization: str | None) -> str:
    """Give the hash of the token in an ``Authorization`` header (RFC 6750), "" when there is none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return hash_token(token.strip()) if scheme.lower() == "bearer" and token.strip() else ""


def matches(hashed: str, known: Iterable[str]) -> bool:
    """Tell whether a hash is among those known, in a time that does not depend on which."""
    found = False
    for one in known:
        found |= hmac.compare_digest(hashed.encode(), one.encode())
    return found


class TLSSettings(BaseModel, extra="forbid"):
    """Certificates. The files are read again when they change; nothing has to be restarted."""

    cert: Path = Field(description="Certificate chain, PEM.", examples=["/etc/redshank/tls/tls.crt"])
    key: Path = Field(description="Private key of the certificate, PEM, without a pass phrase.")
    client_ca: Path | None = Field(
        default=None, description="CA certificates, PEM: clients may prove with a certificate of theirs who they are."
    )
    minimum_version: Literal["1.2", "1.3"] = Field(default="1.2", description="The oldest TLS version spoken.")


class ListenSettings(BaseModel, extra="forbid"):
    """What a listener is told."""

    listen: ListenAddress = Field(description="host:port", examples=["127.0.0.1:8889", "[::]:8889", ":8889"])
    tls: TLSSettings | None = Field(default=None, description="Speak HTTPS.")
    max_connections: PositiveInt = Field(
        default=512,
        description="Connections at a time. One more pushes out the oldest that never said anything of use.",
    )
    head_timeout: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        description="Time for the TLS handshake, and again for the head of a request.",
        examples=["10s"],
    )
    read_timeout: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(0),
        description="Time for the body of a request; an API server waits no longer than 30 s for its answer.",
        examples=["30s"],
    )
    idle_timeout: Duration = Field(
        default=timedelta(minutes=2),
        gt=timedelta(0),
        description="Time between two requests of a connection; an API server drops idle ones after 90 s.",
        examples=["2m"],
    )

    @property
    def address(self) -> Address:
        """Where to listen."""
        return Address.parse(self.listen)
