"""SinkSettings: the options every destination has, and the types options are made of."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from detector.durations import Duration
from detector.encodings.plain import cut
from detector.errors import ConfigError
from detector.finding import Alert, Level
from detector.sinks.base import Clock, Mode, Sink
from detector.store.deliveries import MOST_WAITING, MOST_WAITING_BYTES, Terms

BLANK = "[redacted]"
SHORTEST = 4
"""Secrets shorter than this are not looked for in messages: blanking them would blank everything."""
EXPIRE_AFTER = timedelta(days=3)
LONGEST = 500
"""Longest message kept of a failure."""
TEST_RULE = "57e0e59f-66a5-4745-9015-fc71c8abc82a"
"""The rule in ``rules/operations/doctor.yml`` whose alerts `redshank doctor` looks for at every sink."""


Tells = Literal["all", "alerts", "incidents"]
TELLS = "`incidents`: alerts that open as a part of an incident are left to it; `alerts`: no incidents; `all`: both."


def _level(value: Any) -> Any:
    return Level.parse(value) if isinstance(value, str) else value


LevelName = Annotated[
    Level,
    BeforeValidator(_level),
    PlainSerializer(lambda level: level.name, return_type=str),
    WithJsonSchema({"type": "string", "enum": list(Level.__members__)}),
]
"""A level by its name."""


class SinkSettings(BaseModel):
    """Options of every sink. A secret ``x`` may be given as ``x_file`` instead, which is read whenever it is used."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    mode: ClassVar[Mode]

    name: str = Field(
        description="What the sink is called in the outbox, in metrics and in messages.",
        examples=["siem"],
        pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$",
    )
    min_level: LevelName = Field(
        default=Level.medium, description="Alerts below this level are not sent.", examples=["high"]
    )
    clusters: tuple[str, ...] = Field(
        default=(),
        description="Only alerts of these clusters are sent (`*` and `?` stand for other characters); all if empty.",
        examples=[["prod-*", "payments"]],
    )
    tells: Tells = Field(
        default="all",
        description=TELLS,
        examples=["incidents"],
    )
    closed: bool = Field(
        default=False,
        description="Send a message when an alert closes, too. Sinks that replace what they have always hear of it.",
        examples=[True],
    )
    batch_size: int = Field(default=100, ge=1, le=5000, description="Most alerts in one request.", examples=[500])
    concurrency: int = Field(default=1, ge=1, le=32, description="Most requests under way at once.", examples=[4])
    rate: float | None = Field(
        default=None, gt=0, le=100_000, description="Most alerts a second; no limit if absent.", examples=[5]
    )
    timeout: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(0),
        description="A request that takes longer is given up and sent again later.",
        examples=["10s"],
    )
    expire_after: Duration = Field(
        default=EXPIRE_AFTER,
        gt=timedelta(0),
        description="Alerts that could not be delivered for so long go to the dead letters.",
        examples=["7d"],
    )
    most_waiting: int = Field(
        default=MOST_WAITING,
        ge=1,
        description="Most alerts that wait for the sink; beyond that the oldest go to the dead letters.",
        examples=[10_000],
    )
    most_waiting_bytes: ByteSize = Field(
        default=ByteSize(MOST_WAITING_BYTES),
        ge=1 << 20,
        description="Most bytes of alerts that wait for the sink; beyond that the oldest go to the dead letters.",
        examples=["1GiB"],
    )

    @property
    def terms(self) -> Terms:
        """How alerts wait for this sink."""
        return Terms(self.mode == "upsert", self.most_waiting, self.most_waiting_bytes)

    @abstractmethod
    def open(self, clock: Clock) -> Sink:
        """Make the sink. Nothing is contacted or opened before the first alert is sent."""

    @model_validator(mode="after")
    def _each_secret_once(self) -> SinkSettings:
        for name in type(self).model_fields:
            given_twice = getattr(self, name) is not None and getattr(self, f"{name}_file", None) is not None
            if given_twice:
                raise ValueError(f"give {name} or {name}_file, not both")
        return self

    def secret(self, name: str) -> str | None:
        """Give the secret option ``name``, or what its file holds now; None where neither is set.

        Raises ConfigError where the file cannot be read.
        """
        value: SecretStr | None = getattr(self, name)
        path: Path | None = getattr(self, f"{name}_file")
        if path is not None:
            return read_text(path, f"{name}_file")
        return value.get_secret_value() if value is not None else None

    def secrets(self) -> list[str]:
        """Give every secret as it is now, for `scrub`; files that cannot be read are passed over."""
        found = []
        for name in type(self).model_fields:
            if isinstance(value := getattr(self, name), SecretStr):
                found.append(value.get_secret_value())
            elif name.endswith("_file") and name.removesuffix("_file") in type(self).model_fields:
                found.append(_read_quietly(value))
        return found

    def scrub(self, text: str) -> str:
        """Make a message fit to be kept and printed: without this sink's secrets, one line, not long.

        Servers answer what they like; some repeat what they were sent.
        """
        for secret in sorted(set(self.secrets()), key=len, reverse=True):
            if len(secret) >= SHORTEST:
                text = text.replace(secret, BLANK)
        return cut(" ".join(text.split()), LONGEST)


def read_text(path: Path, option: str) -> str:
    """Read a secret from a file, without the line break at its end. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{option} {path}: {reason or error}") from None


def _read_quietly(path: Path | None) -> str:
    try:
        return read_text(path, "") if path is not None else ""
    except ConfigError:
        return ""


def wants(settings: SinkSettings, alert: Alert) -> bool:
    """Tell whether a sink is to hear of a revision; asked when it is put into the outbox.

    Sinks that replace hear of every revision. Those that append hear when an alert opens or rises in level, and when
    it closes if asked for. Whatever its kind, level and cluster, the alert of a test (`TEST_RULE`) goes to every sink.
    """
    if alert.rule.id != TEST_RULE and not _concerned(settings, alert):
        return False
    if settings.mode == "upsert":
        return True
    return alert.change in {"opened", "raised"} or (alert.change == "closed" and settings.closed)


def _concerned(settings: SinkSettings, alert: Alert) -> bool:
    """Tell whether kind, level and cluster of an alert are those a sink is for."""
    if alert.level < settings.min_level:
        return False
    if alert.kind == "incident" and settings.tells == "alerts":
        return False
    if alert.kind == "alert" and alert.incident and settings.tells == "incidents":
        return False
    return not settings.clusters or any(fnmatchcase(alert.cluster, pattern) for pattern in settings.clusters)
