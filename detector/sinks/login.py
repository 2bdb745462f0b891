"""Options of servers that ask for a name and a password."""

from __future__ import annotations

import base64
from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from detector.sinks.address import RemoteSettings


class LoginSettings(RemoteSettings):
    """Options of basic authentication (RFC 7617)."""

    username: str | None = Field(
        default=None, pattern=r"^[^:]*$", description="Name for basic authentication.", examples=["redshank"]
    )
    password: SecretStr | None = Field(default=None, description="Password of `username`.", examples=["a secret"])
    password_file: Path | None = Field(
        default=None, description="A file with the password.", examples=["/run/secrets/password"]
    )

    @model_validator(mode="after")
    def _both(self) -> LoginSettings:
        if (self.username is not None) != (self.password is not None or self.password_file is not None):
            raise ValueError("give username together with password or password_file")
        return self

    def authorization(self) -> dict[str, str]:
        """Give the header that says who we are, if any. Raises ConfigError where a file cannot be read."""
        if self.username is None:
            return {}
        return {"Authorization": f"Basic {_joined(self.username, self.secret('password') or '')}"}

    def secrets(self) -> list[str]:
        """Give the secrets, and the form in which the password is sent."""
        found = super().secrets()
        return [*found, *(_joined(self.username, one) for one in found if self.username is not None)]


def _joined(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()
