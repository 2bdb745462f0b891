"""Reading settings and rules anew: what is wrong is refused as a whole, and what runs goes on."""

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


Stamp = tuple[tuple[str, int, int], ...]


def stamp(config: Path | None, settings: Settings) -> Stamp:
    """Give what changes when a file of the settings or of the rules does: paths, times and sizes."""
    paths = [config] if config else []
    roots = [*settings.rules.paths, *([builtin_rules()] if settings.rules.builtin else [])]
    for root in roots:
        paths += sorted(root.rglob("*.y*ml")) if root.is_dir() else [root]
    return tuple(_state(path) for path in paths)


def _state(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, -1
    return str(path), status.st_mtime_ns, status.st_size
