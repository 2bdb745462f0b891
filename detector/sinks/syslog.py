"""Syslog: messages of RFC 5424 with CEF or JSON, over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from detector.encodings import cef, syslog
from detector.finding import Alert
from detector.sinks.base import Clock, Failure, Mode, Sink
from detector.sinks.settings import SinkSettings
from detector.sinks.tls import ClientTLS
from detector.sinks.wire import Datagrams, Stream

BODIES = {"cef": cef.encode, "json": syslog.json_body}


class SyslogSettings(SinkSettings):
    """Alerts as syslog messages.

    Syslog has no answers. Over TCP and TLS an alert counts as delivered when the other machine has acknowledged its
    bytes; over UDP when it was sent. TLS is the one to choose, TCP frames count octets.
    """

    mode: ClassVar[Mode] = "append"
    type: Literal["syslog"] = Field(default="syslog", description="A syslog server.", examples=["syslog"])
    host: str = Field(
        min_length=1, max_length=253, description="Name or address of the server.", examples=["syslog.example.com"]
    )
    port: int = Field(default=6514, ge=1, le=65535, description="Its port.", examples=[514])
    protocol: Literal["tls", "tcp", "udp"] = Field(default="tls", description="How to get there.", examples=["tcp"])
    tls: ClientTLS = Field(
        default=ClientTLS(),
        description="Certificates, where the protocol is TLS.",
        examples=[{"ca_file": "/etc/redshank/ca.pem"}],
    )
    body: Literal["cef", "json"] = Field(default="cef", description="What a message holds.", examples=["json"])
    facility: int = Field(
        default=syslog.FACILITY, ge=0, le=23, description="The facility's number; 13 is log audit.", examples=[16]
    )
    hostname: str = Field(
        default="", max_length=255, description="The name this machine goes by; none if empty.", examples=["watch-1"]
    )
    bom: bool = Field(
        default=True,
        description="Mark texts beyond ASCII as UTF-8, as RFC 5424 asks; some servers stumble over the mark.",
        examples=[False],
    )

    @field_validator("host")
    @classmethod
    def _sound(cls, host: str) -> str:
        if any(one.isspace() or not one.isprintable() or one in "/@" for one in host):
            raise ValueError("give a name or an address, without a scheme and a port")
        return host

    def open(self, clock: Clock) -> Sink:
        """Make the sink."""
        return Syslog(self, clock)


class Syslog(Sink):
    """Sends messages over a connection that is kept, or as datagrams."""

    def __init__(self, settings: SyslogSettings, clock: Clock) -> None:
        self._settings = settings
        place = (settings.host, settings.port)
        tls = settings.tls if settings.protocol == "tls" else None
        self._wire = Datagrams(*place) if settings.protocol == "udp" else Stream(*place, tls, clock)

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        """Send the alerts."""
        return await self._wire.send([self._message(alert) for alert in alerts])

    def _message(self, alert: Alert) -> bytes:
        options = self._settings
        text = syslog.encode(
            alert, body=BODIES[options.body], facility=options.facility, hostname=options.hostname, bom=options.bom
        )
        return text.encode()

    async def close(self) -> None:
        """Close the connection."""
        await self._wire.close()


SETTINGS = SyslogSettings
