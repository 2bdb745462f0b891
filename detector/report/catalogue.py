"""The rules at hand, and finding one of them by what a person calls it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from detector.errors import ConfigError
from detector.finding import RuleInfo
from detector.pipeline import rule_files
from detector.sigma.document import Loaded
from detector.sigma.load import RuleSet, assemble, load_all
from detector.sigma.rule import PACKS, Exemption, Rule
from detector.sigma.source import nodes

SHORT = 8
"""Characters of an id that are shown, and enough to name a rule by."""
LISTED = 5


class Catalogue:
    """All rules of all packs. Raises RuleError when one cannot be loaded, ConfigError when there are none."""

    def __init__(self, paths: Iterable[Path] = (), *, builtin: bool = True) -> None:
        paths = list(paths)
        if not builtin and not paths:
            raise ConfigError("no rules: --no-builtin-rules needs --rules")
        self.loaded, errors = load_all(rule_files(paths, builtin=builtin))
        if errors:
            raise errors[0]

    @cached_property
    def rules(self) -> RuleSet:
        """The rule set of all packs."""
        return assemble(self.loaded, PACKS)

    @cached_property
    def infos(self) -> dict[str, RuleInfo]:
        """What people are told about rules and correlations, by id."""
        return {info.id: info for info in self.rules.infos()}

    def alerting(self, packs: Iterable[str]) -> list[RuleInfo]:
        """List the rules and correlations of some packs that can alert."""
        chosen = assemble(self.loaded, packs)
        return [rule.info for rule in chosen.rules if rule.alerts] + [one.info for one in chosen.correlations]

    def find(self, reference: str) -> Loaded:
        """Find the one rule with this id, name, title or file name, or part of one. Raises ConfigError."""
        wanted = reference.strip().lower()
        for names in (_exact, _partial):
            found = [one for one in self.loaded if names(one, wanted)]
            if len(found) == 1:
                return found[0]
            if found:
                listed = ", ".join(f"{one.id[:SHORT]} ({title(one)})" for one in found[:LISTED])
                raise ConfigError(f"{reference!r} may be {len(found)} rules: {listed}{' …' * (len(found) > LISTED)}")
        raise ConfigError(f"there is no rule {reference!r}: `redshank rules list` shows them all")


def _exact(one: Loaded, wanted: str) -> bool:
    return wanted in {one.id.lower(), one.name.lower(), title(one).lower()}


def _partial(one: Loaded, wanted: str) -> bool:
    names = (one.name.lower(), title(one).lower(), Path(one.document.file.path).name.lower())
    return one.id.startswith(wanted) or any(wanted in name for name in names)


def title(one: Loaded) -> str:
    """Give the title of a rule, correlation or filter."""
    return str(one.document.data.get("title", ""))


def kind(one: Loaded) -> str:
    """Say what it is: rule, correlation or filter."""
    if isinstance(one.made, Exemption):
        return "filter"
    return "rule" if isinstance(one.made, Rule) else "correlation"


def source(one: Loaded) -> str:
    """Give the YAML of one document as its author wrote it."""
    node = nodes(one.document.file)[one.document.number]
    lines = one.document.file.text.splitlines()[node.start_mark.line : node.end_mark.line + 1]
    return "\n".join(line for line in lines if line not in {"---", "..."}).rstrip()
