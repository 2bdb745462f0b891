"""The settings of the daemon, from flags, the environment, a YAML file and defaults, in this order.

Every part keeps its own Settings class beside its code; here they are joined, with those of the service itself. Nothing
else reads the environment. ``REDSHANK_WEBHOOK__LISTEN=:8889`` sets ``webhook.listen``; lists and sinks are JSON there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ByteSize, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from detector.durations import Duration
from detector.errors import ConfigError
from detector.listen import ListenSettings, TokenHash
from detector.listen.settings import ListenAddress
from detector.redaction import Redaction
from detector.sigma.rule import DEFAULT_PACKS, Pack
from detector.sigma.source import RuleFile, duplicate_keys
from detector.sinks import AnySink
from detector.sinks.stdout import StdoutSettings
from detector.sources.webhook import WebhookSettings

PREFIX = "REDSHANK_"
GIGABYTE = 1 << 30


class RulesSettings(BaseModel, extra="forbid"):
    """Which rules run. Files are read again when they change, and on SIGHUP."""

    paths: tuple[Path, ...] = Field(
        default=(),
        description="Files and folders of rules and filters of your own.",
        examples=[["/etc/redshank/rules"]],
    )
    builtin: bool = Field(default=True, description="Run the rules that come with redshank.")
    packs: tuple[Pack, ...] = Field(default=DEFAULT_PACKS, description="Packs that alert.", min_length=1)


class RedactionSettings(BaseModel, extra="forbid"):
    """What is blanked in events before they are kept, beside the known carriers of secrets."""

    paths: tuple[str, ...] = Field(
        default=(),
        description="Paths whose values are blanked, as rules name them; * is every key. No rule sees them either.",
        examples=[["requestObject.spec.template.spec.containers.env.value", "annotations.example.com/token"]],
    )

    @field_validator("paths")
    @classmethod
    def _known(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        Redaction(paths)
        return paths

    @cached_property
    def made(self) -> Redaction:
        """What blanks them."""
        return Redaction(self.paths)


class StoreSettings(BaseModel, extra="forbid"):
    """How much is kept on the disk, and how long."""

    journal_limit: ByteSize = Field(
        default=ByteSize(4 * GIGABYTE),
        ge=16 << 20,
        description="Bytes the journal may use. Batches that are folded go first; where none is left, senders wait.",
        examples=["4GiB"],
    )
    journal_keep: Duration = Field(
        default=timedelta(days=7), description="How long folded batches are kept while there is room.", examples=["7d"]
    )
    alerts_keep: Duration = Field(
        default=timedelta(days=90), description="How long alerts and their verdicts are kept.", examples=["90d"]
    )
    snapshot_every: Duration = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=10),
        description="Time between two snapshots, one second to ten minutes: a restart folds at most so much again.",
        examples=["60s"],
    )


class WebSettings(ListenSettings):
    """Health, metrics and the API, apart from where audit events come in."""

    listen: ListenAddress = Field(default="127.0.0.1:9090", description="host:port", examples=["127.0.0.1:9090"])
    tokens: tuple[TokenHash, ...] = Field(
        default=(), description="Hashes of the bearer tokens that may use /api.", examples=[["sha256:9f86d0…"]]
    )
    insecure: bool = Field(
        default=False, description="Serve /healthz, /readyz and /metrics beyond loopback without TLS; never /api."
    )


class LogSettings(BaseModel, extra="forbid"):
    """What the daemon says of itself, on standard error."""

    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto is text on a terminal and JSON lines elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least that is said.")


def default_data_dir() -> Path:
    """Give the place for state by the XDG Base Directory Specification, or that which systemd has made."""
    made = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(made) if made else Path(base) / "redshank"


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="The journal, the state and the snapshots.",
        examples=["/var/lib/redshank"],
    )
    webhook: WebhookSettings = Field(default_factory=WebhookSettings, description="Where API servers post events.")
    web: WebSettings = Field(default_factory=WebSettings, description="Health, metrics and the API.")
    rules: RulesSettings = Field(default_factory=RulesSettings, description="Which rules run.")
    redaction: RedactionSettings = Field(default_factory=RedactionSettings, description="What is blanked in events.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="What is kept on the disk.")
    sinks: tuple[AnySink, ...] = Field(
        default_factory=lambda: (StdoutSettings(name="stdout", type="stdout"),), description="Where alerts go."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="What the daemon says of itself.")
    stop_within: Duration = Field(
        default=timedelta(seconds=25),
        description="How long a stop may take: requests under way are answered, the fold is saved, alerts go out.",
        examples=["25s"],
    )

    @field_validator("sinks")
    @classmethod
    def _named_once(cls, sinks: tuple[AnySink, ...]) -> tuple[AnySink, ...]:
        names = [sink.name for sink in sinks]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two sinks have the same name: {', '.join(sorted(twice))}")
        return sinks

    @model_validator(mode="after")
    def _rules_to_run(self) -> Settings:
        if not self.rules.builtin and not self.rules.paths:
            raise ValueError("no rules to run: rules.builtin is false and rules.paths is empty")
        return self


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings. Raises ConfigError, which lists everything that is wrong, with file and line."""
    text = _read(file) if file else ""
    data = _parsed(text, file)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=data)

    try:
        return Loaded(**(flags or {}))
    except ValidationError as error:
        raise ConfigError("\n".join(_told(one, text, file) for one in error.errors(include_url=False))) from None
    except ValueError as error:  # an environment variable that is no JSON where a list is wanted
        raise ConfigError(f"environment: {error}: {error.__cause__}") from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot read: {getattr(error, 'strerror', None) or error}") from None


def _parsed(text: str, file: Path | None) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date and is none
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError(f"{place}: not YAML: {getattr(error, 'problem', None) or error}") from None
    twice = [f"{file}:{line}:{at}: {key} stands twice" for key, line, at in duplicate_keys(RuleFile(str(file), text))]
    if twice:
        raise ConfigError("\n".join(twice))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{file}:1:1: the settings must be a mapping of keys to values")
    return {str(key): value for key, value in data.items()}


def _told(error: Any, text: str, file: Path | None) -> str:
    """Say what is wrong with one setting, and where it was set."""
    trail = list(error["loc"])
    if trail[:1] == ["sinks"]:
        del trail[2:3]  # the kind of sink, by which pydantic chose its settings
    name = ".".join(map(str, trail)) or "settings"
    message = error["msg"].removeprefix("Value error, ")
    variable = f"{PREFIX}{name.upper().replace('.', '__')}"
    if variable in os.environ:
        return f"{variable}: {message}"
    place = _place(text, trail) if file else None
    return f"{file}:{place[0]}:{place[1]}: {name}: {message}" if place else f"{name}: {message}"


def _place(text: str, trail: list[Any]) -> tuple[int, int] | None:
    """Find line and column (1-based) of a setting, or of what it is missing in; None when the file has none of it."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    mark = None
    for part in trail:
        step = _step(node, part)
        if step is None:
            continue
        mark, node = step
    return (mark.line + 1, mark.column + 1) if mark else None


def _step(node: Any, part: Any) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark, value) for key, value in node.value if key.value == str(part)), None)
    return None
