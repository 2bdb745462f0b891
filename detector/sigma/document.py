"""One YAML document → a rule, a correlation or a filter: parsed by pySigma, translated, with our own keys."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, time
from typing import Any

import msgspec
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaLogSource, SigmaRule, SigmaRuleBase

from detector.errors import RuleError
from detector.event import EPOCH, MICROSECOND
from detector.finding import Level, RuleInfo
from detector.sigma.message import pieces
from detector.sigma.path import Path, parse
from detector.sigma.predicate import Or, Since, atoms
from detector.sigma.rule import Exemption, Extras, Rule
from detector.sigma.source import Document
from detector.sigma.translate import POLICY, translate

KINDS = {"event_count", "value_count", "temporal", "temporal_ordered"}
LATER = {"value_sum", "value_avg", "value_percentile", "value_median"}
UNUSABLE = (RuleError, SigmaError, TypeError, ValueError, KeyError, AttributeError)
"""What is raised for a document that cannot be used; pySigma trusts that values are of the kind it wants."""


class Loaded(msgspec.Struct, frozen=True):
    """One rule, correlation or exemption with what its author wrote around it."""

    document: Document
    extras: Extras
    id: str
    name: str
    made: Any
    """Rule, Exemption, or the parsed SigmaCorrelationRule, which is resolved when all rules are known."""


def read(document: Document) -> Loaded:
    """Read a document. Raises one of `UNUSABLE`, which tells nothing of the place: `faults` does."""
    data = document.data
    extras = Extras.model_validate(data.get("redshank") or {})
    pieces(extras.message)
    if "filter" in data:
        parsed: Any = SigmaFilter.from_dict(data, policy=POLICY)
        made: Any = _exemption(parsed, extras)
    elif "correlation" in data:
        made = parsed = correlation(data)
        for name, _ in correlated_fields(data["correlation"]):
            parse(name)
    else:
        parsed = SigmaRule.from_dict(data, policy=POLICY)
        check_logsource(parsed.logsource)
        made = _rule(parsed, extras)
    return Loaded(document, extras, _rule_id(parsed), str(parsed.name or ""), made)


def check_logsource(source: SigmaLogSource) -> None:
    """Refuse rules for other logs. Raises RuleError."""
    if source.product not in {None, "kubernetes"} or source.service not in {None, "audit"}:
        raise RuleError("logsource is not product: kubernetes, service: audit")


def correlation(data: dict[str, Any]) -> SigmaCorrelationRule:
    """Parse a correlation, and refuse what is not supported. Raises RuleError or what pySigma raises."""
    body = data["correlation"]
    kind = str(body.get("type", "")).lower() if isinstance(body, dict) else ""
    if kind in LATER:
        raise RuleError(f"correlation type {kind} is not supported; there are {', '.join(sorted(KINDS))}")
    if kind.startswith("temporal") and "condition" in body:
        raise RuleError("temporal correlations ask for all of their rules; a condition is not supported")
    parsed = SigmaCorrelationRule.from_dict(data)
    if not isinstance(parsed.condition, SigmaCorrelationCondition):
        raise RuleError("and, or, not in correlation conditions are not supported")
    if parsed.condition.op.name not in {"GTE", "GT"} and kind in {"event_count", "value_count"}:
        raise RuleError("correlations can ask for gte or gt only: fewer events than usual cannot be counted")
    if isinstance(parsed.condition.fieldref, list) and len(parsed.condition.fieldref) > 1:
        raise RuleError("one field only can be counted")
    return parsed


def correlated_fields(body: dict[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Give the fields that a correlation names, each with its place below ``correlation``."""
    rules, aliases, condition = (body.get(key) for key in ("rules", "aliases", "condition"))
    counted = condition.get("field") if isinstance(condition, dict) else None
    for names, *trail in ((body.get("group-by"), "group-by"), (counted, "condition", "field")):
        for at, name in enumerate(map(str, as_list(names))):
            alias = aliases.get(name) if isinstance(aliases, dict) else None
            if not isinstance(alias, dict):
                yield plain(name), (*trail, at)
                continue
            yield from ((plain(field), ("aliases", name, str(rule), 0)) for rule, field in alias.items())
            if any(rule not in alias for rule in map(str, as_list(rules))):
                yield plain(name), ("aliases", name)


def as_list(value: Any) -> list[Any]:
    """Give a list for what may be one value, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def plain(field: Any) -> str:
    """Give the name of a field that stands for all its values, whatever list they are in."""
    return str(field).replace("[]", "")


def _rule_id(parsed: SigmaRuleBase) -> str:
    return str(parsed.id or uuid.uuid5(uuid.NAMESPACE_URL, f"redshank:{parsed.title}"))


def _rule(parsed: SigmaRule, extras: Extras) -> Rule:
    predicate = translate(parsed.detection)
    early = any(atom.path.name == "stage" for atom in atoms(predicate))
    return Rule(info(parsed, extras), predicate, early=early, shows=tuple(_shown(parsed)))


def _shown(parsed: SigmaRule) -> Iterator[Path]:
    """Give the fields that findings show; published rules name fields of other products too, which are passed over."""
    for name in parsed.fields or ():
        with suppress(ValueError):
            yield parse(name)[-1]


def info(parsed: SigmaRuleBase, extras: Extras) -> RuleInfo:
    """Give what people are told about a rule or correlation."""
    tags = [(tag.namespace, tag.name) for tag in parsed.tags]
    attack = [name for space, name in tags if space == "attack"]
    return RuleInfo(
        id=_rule_id(parsed),
        title=parsed.title,
        level=Level[parsed.level.name.lower()] if parsed.level else Level.medium,
        description=(parsed.description or "").strip(),
        author=parsed.author or "",
        pack=extras.pack,
        answers=tuple(extras.answers),
        tactics=tuple(name for name in attack if not _technique(name)),
        techniques=tuple(name.upper() for name in attack if _technique(name)),
        threat_matrix=tuple(extras.threat_matrix),
        guide=extras.guide,
        falsepositives=tuple(parsed.falsepositives or ()),
        references=tuple(parsed.references or ()),
        runbook=tuple(extras.runbook),
        message=extras.message,
    )


def _technique(name: str) -> bool:
    return name[:1] in "tT" and name[1:2].isdigit()


def _exemption(parsed: SigmaFilter, extras: Extras) -> Exemption:
    rules = parsed.filter.rules
    named = () if isinstance(rules, str) else tuple(reference.reference for reference in rules)
    predicate = translate(parsed.filter)
    if extras.expires:
        end = datetime.combine(extras.expires, time.min, UTC)
        predicate = Or((Since((end - EPOCH) // MICROSECOND), predicate))
    return Exemption(_rule_id(parsed), parsed.title, named, predicate, extras)
