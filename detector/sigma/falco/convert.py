"""Falco's rules files → rules of ours, and what has no equivalent with the reason."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from detector.errors import RuleError
from detector.sigma.coverage import TACTICS
from detector.sigma.falco.detection import detection
from detector.sigma.falco.message import message
from detector.sigma.falco.reader import Definition, Ruleset, enabled, read
from detector.sigma.falco.resolve import resolve
from detector.sigma.falco.tree import Const, Expression, Or
from detector.sigma.lint import lint
from detector.sigma.source import RuleFile

SOURCES = frozenset({"k8s_audit"})
LEVELS = {
    "emergency": "critical",
    "alert": "critical",
    "critical": "critical",
    "error": "high",
    "warning": "medium",
    "notice": "low",
    "informational": "informational",
    "info": "informational",
    "debug": "informational",
}
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?", re.IGNORECASE)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://falco.org/docs/concepts/rules/")
_WORDS = re.compile(r"[^a-z0-9]+")
_NAME = 80
"""Characters of a file's name."""


class Converted(msgspec.Struct, frozen=True):
    """A rule of ours, from which rule of Falco it is, and how it differs."""

    name: str
    path: str
    line: int
    file: str
    """A name for its file, which no other has."""
    document: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Give its YAML."""
        return _dumped(self.document)


class Refused(msgspec.Struct, frozen=True):
    """Something that was not converted: a rule, macro, list or item of no known kind, and the reason."""

    kind: str
    name: str
    path: str
    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        said = f"{self.kind} {self.name!r}" if self.name else self.kind
        return f"{self.path}:{self.line}:{self.column}: {said}: {self.reason}"


class Conversion(msgspec.Struct, frozen=True):
    """What became of some rules files."""

    converted: tuple[Converted, ...]
    refused: tuple[Refused, ...]


class _Dumper(yaml.SafeDumper):
    """Writes every list where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dumped(document: dict[str, Any]) -> str:
    # Nothing but ASCII: names of rules are not ours, and YAML may be printed.
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=110)


def convert(files: Iterable[RuleFile]) -> Conversion:
    """Convert rules files, later ones on top of earlier ones. Raises RuleError for what is no rules file."""
    rules = read(files)
    converted: list[Converted] = []
    files_named: set[str] = set()
    refused = [_refused(kind, name, error) for kind, name, error in rules.broken]
    for rule in rules.rules.values():
        try:
            converted.append(_convert(rules, rule, files_named))
        except RuleError as error:
            located = error if error.path else rule.place.error(error.message, "condition")
            refused.append(_refused("rule", rule.name, located))
    return Conversion(tuple(converted), tuple(refused))


def _refused(kind: str, name: str, error: RuleError) -> Refused:
    return Refused(kind, name, error.path, error.line, error.column, error.message)


def _convert(rules: Ruleset, rule: Definition, taken: set[str]) -> Converted:
    source = rule.keys.get("source", "syscall")
    if source not in SOURCES:
        raise rule.place.error(f"it is about {source} events, not about Kubernetes audit events", "source")
    condition = resolve(rules, rule)
    if isinstance(condition, Const):
        raise rule.place.error(_constant(condition), "condition")
    notes: dict[str, None] = {}
    document = _document(rule, condition, notes)
    if isinstance(condition, Or) and rule.keys.get("exceptions"):
        notes["the exceptions exempt from the last alternative of its condition only, as they do in Falco"] = None
    _verify(rule, document)
    place = rule.place.error("")
    return Converted(rule.name, place.path, place.line, _file(rule.name, taken), document, tuple(notes))


def _constant(condition: Const) -> str:
    how = "always" if condition.value else "never"
    because = " → ".join(condition.because)
    hint = f" because of {because}: change one of these macros and import again" if because else ""
    return f"it {how} holds{hint}"


def _document(rule: Definition, condition: Expression, notes: dict[str, None]) -> dict[str, Any]:
    keys = rule.keys
    priority = str(keys["priority"]).lower()
    if priority not in LEVELS:
        raise rule.place.error(f"priority {keys['priority']!r} is none of {', '.join(LEVELS)}", "priority")
    asked = detection(condition, notes)
    said, shown, lost = message(str(keys["output"]))
    if lost:
        notes[f"the message leaves out {', '.join(lost)}, which have no equivalent"] = None
    tags = [str(tag) for tag in keys.get("tags") or []]
    document = {
        "title": rule.name,
        "id": str(uuid.uuid5(_NAMESPACE, rule.name)),
        "description": " ".join(str(keys["desc"]).split()),
        "tags": list(dict.fromkeys(each for tag in tags for each in _tag(tag))),
        "logsource": {"product": "kubernetes", "service": "audit"},
        "detection": asked,
        "fields": shown,
        "level": LEVELS[priority],
        "redshank": {"pack": "extended" if enabled(rule) else "hunting", "message": said},
        # What is kept of it for who looks the rule up; it means nothing here.
        "falco": {"rule": rule.name, "priority": keys["priority"], "tags": tags},
    }
    return {key: value for key, value in document.items() if value}


def _tag(tag: str) -> list[str]:
    """Give the tag of ATT&CK that a tag of Falco is; none for others."""
    tactic = tag.lower().removeprefix("mitre_").replace("_", "-")
    if tag.lower().startswith("mitre_") and tactic in TACTICS:
        return [f"attack.{tactic}"]
    return [f"attack.{tag.lower()}"] if _TECHNIQUE.fullmatch(tag) else []


def _verify(rule: Definition, document: dict[str, Any]) -> None:
    """Make sure that what was made can be used. Raises RuleError with what the linter says."""
    made = RuleFile(f"{rule.name}.yml", _dumped(document))
    for problem in lint([made]):
        if problem.severity == "error":
            raise rule.place.error(f"as a rule of ours it is refused: {problem.message}", "condition")


def _file(name: str, taken: set[str]) -> str:
    """Name a file after a rule."""
    base = _WORDS.sub("-", name.lower()).strip("-")[:_NAME] or "rule"
    found, number = f"{base}.yml", 1
    while found in taken:
        number += 1
        found = f"{base}-{number}.yml"
    taken.add(found)
    return found
