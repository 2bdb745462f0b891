"""What `redshank init kube-apiserver` was asked for, checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import msgspec

from detector.errors import ConfigError
from detector.sources.webhook.settings import is_cluster_name

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
MAX_HOST = 253
"""Characters of a DNS name (RFC 1035)."""
EXAMPLE = "such as https://10.0.0.5:8889"


class Plan(msgspec.Struct, frozen=True):
    """Clusters, and the address at which their API servers reach redshank.

    `url` has neither a path nor a slash at its end; `hosts` are all names and addresses of redshank's certificate.
    """

    clusters: tuple[str, ...]
    url: str
    port: int
    hosts: tuple[str, ...]
    token: bool = False
    """Clusters prove themselves by a token instead of a certificate."""

    @classmethod
    def make(cls, clusters: Sequence[str], url: str, also: Sequence[str] = (), *, token: bool = False) -> Plan:
        """Check what was asked for.

        :raises ConfigError: the text names the flag and says what is wrong.
        """
        for cluster in clusters:
            if not is_cluster_name(cluster):
                raise ConfigError(f"--cluster {cluster!r}: up to 100 letters, digits, and within them . _ -")
        host, port = _host_and_port(url)
        hosts = (host, *(_host(one, "--node-ip") for one in also))
        shown = f"[{host}]" if ":" in host else host
        return cls(tuple(dict.fromkeys(clusters)), f"https://{shown}:{port}", port, hosts, token)


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"--url {url!r}: {error}; give https://host:port, {EXAMPLE}") from None
    if parts.scheme != "https" or not host or not port:
        raise ConfigError(f"--url {url!r}: give https://host:port, {EXAMPLE}")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(f"--url {url!r}: nothing may follow the port; the path is /audit/CLUSTER, {EXAMPLE}")
    return _host(host, "--url"), port


def _host(text: str, flag: str) -> str:
    """Read a DNS name or an IP address."""
    try:
        address = ip_address(text)
    except ValueError:
        if len(text) > MAX_HOST or not _NAME.fullmatch(text):
            raise ConfigError(f"{flag} {text!r}: not an address or a name of a machine, {EXAMPLE}") from None
        return text.lower()
    if isinstance(address, IPv6Address) and address.scope_id:
        raise ConfigError(f"{flag} {text!r}: an address with a zone is no use in a certificate")
    return str(address)
