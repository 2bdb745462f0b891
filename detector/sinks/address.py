"""Addresses of HTTP servers, and the options of sinks that talk to one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from detector.errors import ConfigError
from detector.sinks.settings import SinkSettings
from detector.sinks.tls import ClientTLS


def checked_url(url: str) -> str:
    """Give an address as it is used. Raises ValueError, without the address: it may be a secret."""
    url = url.strip()
    wrong = ValueError("give an address such as https://siem.example.com:8088")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    odd = any(one.isspace() or not one.isprintable() for one in url)
    if odd or parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise wrong
    if parts.username or parts.password:
        raise ValueError("give name and password in options of their own, not in the address")
    return url


Url = Annotated[str, AfterValidator(checked_url)]
"""An address of an HTTP server."""


class RemoteSettings(SinkSettings):
    """Options of sinks that speak HTTP."""

    tls: ClientTLS = Field(
        default=ClientTLS(), description="Certificates.", examples=[{"ca_file": "/etc/redshank/ca.pem"}]
    )
    proxy: Url | None = Field(
        default=None, description="An HTTP proxy to go through.", examples=["http://proxy.example.com:3128"]
    )


class WebhookSettings(RemoteSettings):
    """Options of sinks whose address is a secret: who knows it may post."""

    url: SecretStr | None = Field(default=None, description="The address to post to.")
    url_file: Path | None = Field(
        default=None,
        description="A file with the address to post to, instead of `url`.",
        examples=["/run/secrets/webhook-url"],
    )

    @field_validator("url")
    @classmethod
    def _valid(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            checked_url(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _given(self) -> WebhookSettings:
        if self.url is None and self.url_file is None:
            raise ValueError("give url or url_file")
        return self

    def address(self) -> str:
        """Give the address to post to. Raises ConfigError where its file does not hold one."""
        try:
            return checked_url(self.secret("url") or "")
        except ValueError as error:
            raise ConfigError(f"url_file {self.url_file}: {error}") from None

    def secrets(self) -> list[str]:
        """Give the secrets, with the part of the address that a server may repeat."""
        found = super().secrets()
        for url in list(found):
            with suppress(ValueError):
                parts = urlsplit(url)
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                found += [path, path.replace("/", "\\/"), parts.path.rpartition("/")[2], parts.query]
        return found
