"""ClientTLS: how sinks know whom they talk to."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from detector.errors import ConfigError


class ClientTLS(BaseModel):
    """How a server is verified, and what we show it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that may have signed the server's; those of the system if absent.",
        examples=["/etc/redshank/ca.pem"],
    )
    cert_file: Path | None = Field(
        default=None, description="Our certificate (PEM), for servers that ask.", examples=["/etc/redshank/client.pem"]
    )
    key_file: Path | None = Field(
        default=None,
        description="The key of our certificate (PEM), where it is not in the same file.",
        examples=["/etc/redshank/client.key"],
    )
    verify: bool = Field(
        default=True, description="Refuse servers whose certificate is not valid for their name.", examples=[False]
    )

    def context(self) -> ssl.SSLContext:
        """Make what a connection needs, of the files as they are now. Raises ConfigError."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ValueError) as error:
            raise ConfigError(f"tls: certificates cannot be used: {error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def stamp(self) -> tuple[int, ...]:
        """Give something that changes when a file does."""
        stamps = []
        for path in (self.ca_file, self.cert_file, self.key_file):
            with suppress(OSError):
                stamps.append(path.stat().st_mtime_ns if path is not None else 0)
        return tuple(stamps)
