"""What the rules cover: ATT&CK tactics and techniques, and the ideas of the detection census they answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from detector.finding import Level, RuleInfo

TACTICS = {
    "reconnaissance": "Reconnaissance",
    "resource-development": "Resource Development",
    "initial-access": "Initial Access",
    "execution": "Execution",
    "persistence": "Persistence",
    "privilege-escalation": "Privilege Escalation",
    "defense-evasion": "Defense Evasion",
    "credential-access": "Credential Access",
    "discovery": "Discovery",
    "lateral-movement": "Lateral Movement",
    "collection": "Collection",
    "command-and-control": "Command and Control",
    "exfiltration": "Exfiltration",
    "impact": "Impact",
}
"""The tactics of ATT&CK for enterprise in its own order: how tags name them, and their names."""
TECHNIQUE = re.compile(r"[Tt]\d{4}(\.\d{3})?")
COLOURS = ["#ffffff", "#3182bd"]


class Covered(msgspec.Struct, frozen=True):
    """A tactic, technique or idea, and the rules for it."""

    name: str
    rules: tuple[RuleInfo, ...]

    @property
    def level(self) -> Level:
        """The highest level of its rules."""
        return max((rule.level for rule in self.rules), default=Level.informational)


class Coverage(msgspec.Struct, frozen=True):
    """What a set of rules covers. ``tactics`` lists all there are, also those without a rule."""

    rules: tuple[RuleInfo, ...]
    tactics: tuple[Covered, ...]
    techniques: tuple[Covered, ...]
    threat_matrix: tuple[Covered, ...]
    answers: tuple[Covered, ...]


def cover(rules: Iterable[RuleInfo]) -> Coverage:
    """Sort rules by what they cover."""
    rules = tuple(rules)
    tactics = {one.name: one for one in _by(rules, "tactics")}
    known = [tactics.pop(name, Covered(name, ())) for name in TACTICS]
    return Coverage(
        rules, (*known, *tactics.values()), _by(rules, "techniques"), _by(rules, "threat_matrix"), _by(rules, "answers")
    )


def _by(rules: Iterable[RuleInfo], attribute: str) -> tuple[Covered, ...]:
    """Sort rules by the names in one of their attributes, in order of name."""
    found: dict[str, list[RuleInfo]] = {}
    for rule in rules:
        for name in dict.fromkeys(getattr(rule, attribute)):
            found.setdefault(name, []).append(rule)
    return tuple(Covered(name, tuple(found[name])) for name in sorted(found))


def navigator(coverage: Coverage, name: str = "redshank rules") -> dict[str, Any]:
    """Give an ATT&CK Navigator layer: a technique's score is its number of rules.

    Format 4.5: https://github.com/mitre-attack/attack-navigator/blob/master/layers/LAYERFORMATv4_5.md
    """
    most = max((len(one.rules) for one in coverage.techniques), default=1)
    return {
        "name": name,
        "versions": {"layer": "4.5", "navigator": "5.1.0"},
        "domain": "enterprise-attack",
        "description": "Techniques that redshank has rules for; the score is the number of rules.",
        "filters": {"platforms": ["Containers"]},
        "sorting": 3,
        "hideDisabled": False,
        "techniques": [_technique(one) for one in coverage.techniques],
        "gradient": {"colors": COLOURS, "minValue": 0, "maxValue": most},
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _technique(one: Covered) -> dict[str, Any]:
    return {
        "techniqueID": one.name,
        "score": len(one.rules),
        "comment": "; ".join(f"{rule.title} ({rule.level.name})" for rule in one.rules),
        "enabled": True,
        "showSubtechniques": "." in one.name,
    }
