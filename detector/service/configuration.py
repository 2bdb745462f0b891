"""The settings and the rules as their files say, and whether the files have changed since."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from detector.config import RulesSettings, Settings, load
from detector.entries import control_body
from detector.listen import Certificates
from detector.pipeline import builtin_rules, rule_files
from detector.record import Rules
from detector.sigma.load import RuleSet
from detector.sigma.load import load as load_rules

RULES = "rules"
"""Under this name the state keeps the digest of the rules that the journal was told of last."""

State = tuple[str, int, int]
"""What changes when a file does: its path, its time, its size."""


class Configuration:
    """Settings and rules, from files, flags and the environment."""

    def __init__(self, file: Path | None, flags: dict[str, Any]) -> None:
        """Read them. Raises ConfigError and RuleError."""
        self.file, self.flags = file, flags
        # Each is looked at before it is read: what changes while it is read has changed since.
        own = self._own()
        self.settings = load(file, flags)
        self._seen = [*own, *_rule_states(self.settings.rules)]
        self.rules = rules_of(self.settings.rules)

    def changed(self) -> bool:
        """Tell whether a file has changed since it was read, or since this was asked last."""
        now = [*self._own(), *_rule_states(self.settings.rules)]
        before, self._seen = self._seen, now
        return now != before

    def again(self) -> Configuration:
        """Read everything anew. Raises ConfigError and RuleError."""
        return Configuration(self.file, self.flags)

    def _own(self) -> list[State]:
        return [_state(self.file)] if self.file else []


def digest_of(rules: Rules) -> str:
    """Give what tells rules from others."""
    return sha256(control_body(rules)).hexdigest()


def rules_of(settings: RulesSettings) -> Rules:
    """Read the rules that are to run, and make sure that they can. Raises RuleError."""
    return loaded(settings)[0]


def loaded(settings: RulesSettings) -> tuple[Rules, RuleSet]:
    """Give the rules that are to run, as text and ready. Raises RuleError."""
    rules = Rules(tuple(rule_files(settings.paths, builtin=settings.builtin)), tuple(settings.packs))
    return rules, load_rules(rules.files, rules.packs)


def check(file: Path | None, flags: dict[str, Any] | None = None) -> Iterator[str]:
    """Read everything a start reads; gives what there is to say. Raises ConfigError and RuleError."""
    settings = load(file, flags)
    rules, ready = loaded(settings.rules)
    for part in (settings.webhook, settings.web):
        if part.tls is not None:
            Certificates(part.tls)
    count = len(ready.infos())
    yield f"settings: {file or 'defaults'}: fine"
    yield f"rules: {count} rules and correlations of {', '.join(rules.packs)}"
    yield f"webhook: {settings.webhook.listen}, {'TLS' if settings.webhook.tls else 'no TLS'}"
    yield f"sinks: {sinks_of(settings)}"


def sinks_of(settings: Settings) -> str:
    """Say where alerts go."""
    named = [
        f"{sink.name} ({type(sink).model_fields['type'].default}, {sink.min_level.name} and above)"
        for sink in settings.sinks
    ]
    return ", ".join(named) or "none; alerts stay in the state"


def _rule_states(settings: RulesSettings) -> Iterator[State]:
    for root in [*settings.paths, *([builtin_rules()] if settings.builtin else [])]:
        for path in sorted(root.rglob("*.y*ml")) if root.is_dir() else [root]:
            yield _state(path)


def _state(path: Path) -> State:
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, -1
    return str(path), status.st_mtime_ns, status.st_size
