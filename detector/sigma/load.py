"""Rule files → a `RuleSet`: parsed by pySigma, translated, filters joined, correlations resolved."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, time
from typing import Any

import msgspec
from pydantic import ValidationError
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule, SigmaRuleBase

from detector.errors import RuleError
from detector.event import EPOCH, MICROSECOND, SECOND
from detector.finding import Level, RuleInfo
from detector.sigma.message import pieces
from detector.sigma.path import Path, parse
from detector.sigma.predicate import Or, Since, atoms
from detector.sigma.rule import DEFAULT_PACKS, Correlation, Exemption, Extras, Rule
from detector.sigma.source import Document, RuleFile, documents
from detector.sigma.translate import translate

KINDS = {"event_count", "value_count", "temporal", "temporal_ordered"}
LATER = {"value_sum", "value_avg", "value_percentile", "value_median"}


class Loaded(msgspec.Struct, frozen=True):
    """One rule, correlation or exemption with what its author wrote around it."""

    document: Document
    extras: Extras
    id: str
    name: str
    made: Any
    """Rule, Exemption, or the parsed SigmaCorrelationRule, which is resolved when all rules are known."""


class RuleSet(msgspec.Struct, frozen=True):
    """Everything that detects with Sigma rules, ready to compile."""

    rules: tuple[Rule, ...]
    correlations: tuple[Correlation, ...]
    exemptions: tuple[Exemption, ...]
    loaded: tuple[Loaded, ...]

    def infos(self) -> list[RuleInfo]:
        """List all rules and correlations, base rules included, as people know them."""
        return [rule.info for rule in self.rules] + [one.info for one in self.correlations]


def load(files: Iterable[RuleFile], packs: Iterable[str] = DEFAULT_PACKS) -> RuleSet:
    """Load rules of the given packs. Raises the first `RuleError`; `load_all` collects them."""
    loaded, errors = load_all(files)
    if errors:
        raise errors[0]
    return assemble(loaded, packs)


def load_all(files: Iterable[RuleFile]) -> tuple[list[Loaded], list[RuleError]]:
    """Load every document of every file; what cannot be used comes back as errors."""
    loaded: list[Loaded] = []
    errors: list[RuleError] = []
    for file in files:
        try:
            for document in documents(file):
                _collect(document, loaded, errors)
        except RuleError as error:
            errors.append(error)
    return loaded, errors + _duplicates(loaded)


def _collect(document: Document, loaded: list[Loaded], errors: list[RuleError]) -> None:
    try:
        loaded.append(_load(document))
    except RuleError as error:
        errors.append(error)


def _duplicates(loaded: list[Loaded]) -> list[RuleError]:
    seen: dict[str, Loaded] = {}
    errors = []
    for one in loaded:
        known = seen.setdefault(one.id, one)
        if known is not one:
            errors.append(one.document.error(f"id {one.id} is already used in {known.document.file.path}", ["id"]))
    return errors


def _load(document: Document) -> Loaded:
    extras = _extras(document)
    try:
        if "filter" in document.data:
            parsed: Any = SigmaFilter.from_dict(document.data)
            made: Any = _exemption(parsed, extras)
        elif "correlation" in document.data:
            _check_kind(document.data["correlation"])
            made = parsed = SigmaCorrelationRule.from_dict(document.data)
            _check_correlation(parsed)
        else:
            parsed = SigmaRule.from_dict(document.data)
            _check_logsource(parsed)
            made = _rule(parsed, extras)
    except RuleError as error:
        raise document.error(error.message, error.trail) from None
    except SigmaError as error:
        raise document.error(_sigma_message(error), _sigma_trail(error)) from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise document.error(f"not a Sigma rule: {error}") from None
    return Loaded(document, extras, _rule_id(parsed), str(parsed.name or ""), made)


def _sigma_message(error: SigmaError) -> str:
    return str(error.args[0]) if error.args else str(error)


def _sigma_trail(error: SigmaError) -> list[str]:
    """Guess the key a pySigma error is about from its class: SigmaLevelError → level."""
    word = type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()
    known = {"condition": ["detection", "condition"], "identifier": ["id"], "tag": ["tags"]}
    if word.startswith("correlation") or word == "timespan":
        return ["correlation", "timespan" if word == "timespan" else "condition"]
    return known.get(word, [word])


def _extras(document: Document) -> Extras:
    try:
        extras = Extras.model_validate(document.data.get("redshank") or {})
        pieces(extras.message)
        return extras
    except ValidationError as error:
        first = error.errors()[0]
        trail = ["redshank", *(part for part in first["loc"] if isinstance(part, str))]
        raise document.error(f"{'.'.join(trail)}: {first['msg']}", trail) from None
    except ValueError as error:
        raise document.error(f"redshank.message: {error}", ["redshank", "message"]) from None


def _check_logsource(rule: SigmaRule) -> None:
    source = rule.logsource
    if source.product not in {None, "kubernetes"} or source.service not in {None, "audit"}:
        raise RuleError("logsource is not product: kubernetes, service: audit", trail=("logsource",))


def _rule_id(parsed: SigmaRuleBase) -> str:
    return str(parsed.id or uuid.uuid5(uuid.NAMESPACE_URL, f"redshank:{parsed.title}"))


def _rule(parsed: SigmaRule, extras: Extras) -> Rule:
    predicate = translate(parsed.detection)
    early = any(atom.path.name == "stage" for atom in atoms(predicate))
    return Rule(_info(parsed, extras), predicate, early=early, shows=tuple(_shown(parsed)))


def _shown(parsed: SigmaRule) -> Iterator[Path]:
    """Give the fields that findings show; published rules name fields of other products too, which are passed over."""
    for name in parsed.fields or ():
        with suppress(ValueError):
            yield parse(name)[-1]


def _info(parsed: SigmaRuleBase, extras: Extras) -> RuleInfo:
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


def _check_kind(body: Any) -> None:
    kind = str(body.get("type", "")).lower() if isinstance(body, dict) else ""
    if kind in LATER:
        raise _at(f"correlation type {kind} is not supported; there are {', '.join(sorted(KINDS))}", "type")
    if kind.startswith("temporal") and "condition" in body:
        raise _at("temporal correlations ask for all of their rules; a condition is not supported", "condition")


def _check_correlation(parsed: SigmaCorrelationRule) -> None:
    kind = parsed.type.name.lower()
    if not isinstance(parsed.condition, SigmaCorrelationCondition):
        raise _at("and, or, not in correlation conditions are not supported", "condition")
    if parsed.condition.op.name not in {"GTE", "GT"} and kind in {"event_count", "value_count"}:
        raise _at("correlations can ask for gte or gt only: fewer events than usual cannot be counted", "condition")


def _at(message: str, key: str) -> RuleError:
    return RuleError(message, trail=("correlation", key))


def assemble(loaded: Iterable[Loaded], packs: Iterable[str]) -> RuleSet:
    """Resolve references and choose packs: base rules come along with the correlations that need them.

    A base rule is silent by itself where a correlation in use counts it without ``generate: true``.
    """
    loaded, packs = list(loaded), set(packs)
    _check_exemptions(loaded)
    exemptions = [one.made for one in loaded if isinstance(one.made, Exemption)]
    rules = {one.id: _exempt(one, exemptions) for one in loaded if isinstance(one.made, Rule)}
    correlations = _correlations(loaded, rules)
    used = [(one, made) for one, made in correlations if made.info.pack in packs]
    needed = {base for _, made in used for base in made.bases}
    silent = {base for one, made in used if not one.made.generate for base in made.bases}
    alerting = {id_ for id_, rule in rules.items() if rule.info.pack in packs} - silent
    kept = [_alerting(rule, id_ in alerting) for id_, rule in rules.items() if id_ in alerting | needed]
    return RuleSet(tuple(kept), tuple(made for _, made in used), tuple(exemptions), tuple(loaded))


def _correlations(loaded: list[Loaded], rules: dict[str, Rule]) -> list[tuple[Loaded, Correlation]]:
    parsed = [one for one in loaded if isinstance(one.made, SigmaCorrelationRule)]
    chained = {name for one in parsed for name in (one.id, one.name)}
    names = {one.name: one.id for one in loaded if isinstance(one.made, Rule) and one.name}
    return [(one, _correlation(one, _bases(one, rules, names, chained))) for one in parsed]


def _alerting(rule: Rule, alerts: bool) -> Rule:
    return msgspec.structs.replace(rule, alerts=alerts)


def _exempt(one: Loaded, exemptions: list[Exemption]) -> Rule:
    rule: Rule = one.made
    mine = [each for each in exemptions if not each.rules or {one.id, one.name} & set(each.rules)]
    return msgspec.structs.replace(rule, exemptions=tuple(mine))


def _check_exemptions(loaded: list[Loaded]) -> None:
    """A filter for a rule that is not there would silence nothing, and nobody would notice."""
    known = {name for one in loaded if isinstance(one.made, Rule) for name in (one.id, one.name)}
    for one in loaded:
        for reference in one.made.rules if isinstance(one.made, Exemption) else ():
            if reference not in known:
                message = f"filter: there is no rule {reference!r} (filters apply to rules about single events)"
                raise one.document.error(message, ["filter", "rules"])


def _bases(one: Loaded, rules: dict[str, Rule], names: dict[str, str], chained: set[str]) -> tuple[str, ...]:
    """Resolve the rules a correlation counts, by id or name."""
    bases = []
    for reference in _references(one):
        base = names.get(reference, reference)
        if base not in rules:
            known = (
                "correlations of correlations are not supported" if reference in chained else "there is no such rule"
            )
            raise one.document.error(f"correlation: {reference!r}: {known}", ["correlation", "rules"])
        bases.append(base)
    return tuple(bases)


def _references(one: Loaded) -> list[str]:
    return [reference.reference for reference in one.made.rules or ()]


def _correlation(one: Loaded, bases: tuple[str, ...]) -> Correlation:
    parsed: SigmaCorrelationRule = one.made
    condition: Any = parsed.condition
    kind = parsed.type.name.lower()
    counted = [condition.fieldref] if isinstance(condition.fieldref, str) else list(condition.fieldref or ())
    if len(counted) > 1:
        raise one.document.error("one field only can be counted", ["correlation", "condition"])
    return Correlation(
        info=_info(parsed, one.extras),
        kind=kind,
        bases=bases,
        group_by=tuple(_aliased(one, parsed.group_by or [], reference) for reference in _references(one)),
        span=parsed.timespan.seconds * SECOND,
        threshold=len(bases) if kind.startswith("temporal") else int(condition.count) + (condition.op.name == "GT"),
        value=tuple(_aliased(one, counted, reference)[0] for reference in _references(one)) if counted else (),
    )


def _aliased(one: Loaded, fields: Iterable[str], reference: str) -> tuple[Path, ...]:
    """Give the paths of correlation fields as one base rule spells them."""
    aliases = one.made.aliases.aliases
    paths = []
    for field in fields:
        alias = aliases.get(field)
        mapping = {each.reference: name for each, name in alias.mapping.items()} if alias else {}
        try:
            path = parse(mapping.get(reference, field).replace("[]", ""))[-1]
        except ValueError as error:
            raise one.document.error(str(error), ["correlation", "group-by"]) from None
        paths.append(path)
    return tuple(paths)
