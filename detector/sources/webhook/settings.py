"""Settings of the audit webhook."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ByteSize, Field, model_validator

from detector.listen import ListenSettings, TokenHash, is_loopback
from detector.listen.settings import ListenAddress

MIB = 1 << 20

_CLUSTER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


def is_cluster_name(text: str) -> bool:
    """Tell whether a text can name a cluster: letters, digits, and within them ``.``, ``_``, ``-``; at most 100."""
    return _CLUSTER.fullmatch(text) is not None


def _cluster_name(text: str) -> str:
    if not is_cluster_name(text):
        raise ValueError("a cluster's name has up to 100 letters, digits, and within them . _ -")
    return text


ClusterName = Annotated[str, AfterValidator(_cluster_name)]


class ClusterSettings(BaseModel, extra="forbid"):
    """What an API server of this cluster shows to be believed; one of them is enough."""

    tokens: list[TokenHash] = Field(
        default=[],
        description="SHA-256 hashes of bearer tokens, several during a change of tokens.",
        examples=[["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]],
    )
    certificate_names: list[str] = Field(
        default=[],
        description="Common names or alternative names in client certificates that tls.client_ca has signed.",
        examples=[["kube-apiserver-prod"]],
    )

    @property
    def open(self) -> bool:
        """Tell whether anybody is believed."""
        return not self.tokens and not self.certificate_names


class WebhookSettings(ListenSettings):
    """Where API servers post their audit events."""

    listen: ListenAddress = Field(
        default="127.0.0.1:8889", description="host:port", examples=["0.0.0.0:8889", "[::]:8889"]
    )
    clusters: dict[ClusterName, ClusterSettings] = Field(
        default={},
        description="The clusters that may post, to /audit/NAME. With none given, any name is taken, up to 64.",
        examples=[{"prod": {"certificate_names": ["kube-apiserver-prod"]}}],
    )
    max_body: ByteSize = Field(
        default=ByteSize(32 * MIB),
        gt=0,
        description="Bytes of a request body as sent. An API server drops what is refused: single events have 400 KB.",
    )
    max_expanded: ByteSize = Field(
        default=ByteSize(64 * MIB), gt=0, description="Bytes of a gzip body once it is decompressed."
    )
    max_buffered: ByteSize = Field(
        default=ByteSize(256 * MIB), gt=0, description="Bytes of all bodies in memory; beyond, the answer is 429."
    )
    insecure: bool = Field(
        default=False, description="Listen beyond this machine without TLS, or without asking who posts."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        certificates = any(cluster.certificate_names for cluster in self.clusters.values())
        if certificates and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("certificate_names need tls.client_ca: the CA that signs the clients' certificates")
        if self.max_buffered < max(self.max_body, self.max_expanded):
            raise ValueError("max_buffered must leave room for one body of max_body and of max_expanded")
        if not self.insecure and not is_loopback(self.address.host):
            self._secured()
        return self

    def _secured(self) -> None:
        where = f"the webhook listens on {self.listen}, which other machines reach"
        if self.tls is None:
            raise ValueError(f"{where}, without TLS: give tls.cert and tls.key, listen on 127.0.0.1, or set insecure")
        if not self.clusters or any(cluster.open for cluster in self.clusters.values()):
            raise ValueError(f"{where}, and anybody may post: give each of clusters a token or a certificate name")

    @property
    def certificate_required(self) -> bool:
        """Tell whether a client without a certificate has nothing to hope for."""
        clusters = self.clusters.values()
        return bool(clusters) and all(cluster.certificate_names and not cluster.tokens for cluster in clusters)
