"""Rule files → a `RuleSet`: every document read, filters joined, correlations resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from sigma.correlations import SigmaCorrelationRule

from detector.errors import RuleError
from detector.event import SECOND
from detector.finding import RuleInfo
from detector.sigma.document import UNUSABLE, Loaded, as_list, info, plain, read
from detector.sigma.faults import faults
from detector.sigma.path import Path, parse
from detector.sigma.rule import DEFAULT_PACKS, Correlation, Exemption, Rule
from detector.sigma.source import Document, RuleFile, documents


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
    loaded, errors = load_all(files, tests=False)
    if errors:
        raise errors[0]
    return assemble(loaded, packs)


def load_all(files: Iterable[RuleFile], *, tests: bool = True) -> tuple[list[Loaded], list[RuleError]]:
    """Load every document of every file, with or without its tests; all that is wrong comes back as errors."""
    loaded: list[Loaded] = []
    errors: list[RuleError] = []
    for file in files:
        found, unreadable = documents(file, tests=tests)
        errors += unreadable
        for document in found:
            try:
                loaded.append(read(document))
            except UNUSABLE as error:
                errors += faults(document) or [document.error(f"not a Sigma rule: {error}")]
    return loaded, errors + _duplicates(loaded)


def _duplicates(loaded: list[Loaded]) -> list[RuleError]:
    seen: dict[str, Loaded] = {}
    errors = []
    for one in loaded:
        known = seen.setdefault(one.id, one)
        if known is not one:
            errors.append(one.document.error(f"id {one.id} is already used in {known.document.file.path}", ["id", 0]))
    return errors


def assemble(loaded: Iterable[Loaded], packs: Iterable[str]) -> RuleSet:
    """Resolve references and choose packs: base rules come along with the correlations that need them.

    A base rule is silent by itself where a correlation in use counts it without ``generate: true``. Raises RuleError.
    """
    loaded, packs = list(loaded), set(packs)
    known = Known.of(loaded)
    for error in (error for one in loaded for error in unresolved(one.document, known)):
        raise error
    exemptions = [one.made for one in loaded if isinstance(one.made, Exemption)]
    rules = {one.id: _exempt(one, exemptions) for one in loaded if isinstance(one.made, Rule)}
    correlations = [(one, _correlation(one, known)) for one in loaded if isinstance(one.made, SigmaCorrelationRule)]
    used = [(one, made) for one, made in correlations if made.info.pack in packs]
    needed = {base for _, made in used for base in made.bases}
    silent = {base for one, made in used if not one.made.generate for base in made.bases}
    alerting = {id_ for id_, rule in rules.items() if rule.info.pack in packs} - silent
    kept = [_alerting(rule, id_ in alerting) for id_, rule in rules.items() if id_ in alerting | needed]
    return RuleSet(tuple(kept), tuple(made for _, made in used), tuple(exemptions), tuple(loaded))


class Known(NamedTuple):
    """What references can lead to: ids of rules by id and name, and the ids and names of correlations."""

    rules: dict[str, str]
    correlations: set[str]

    @classmethod
    def of(cls, loaded: Iterable[Loaded]) -> Known:
        """List what is there."""
        known = cls({}, set())
        for one in loaded:
            if isinstance(one.made, Rule):
                known.rules.update({one.id: one.id, **({one.name: one.id} if one.name else {})})
            elif isinstance(one.made, SigmaCorrelationRule):
                known.correlations.update({one.id, one.name})
        return known


def unresolved(document: Document, known: Known) -> Iterator[RuleError]:
    """List what a filter or correlation says of rules that are not there."""
    for at, reference in enumerate(_named(document, "filter")):
        if reference not in known.rules:  # it would silence nothing, and nobody would notice
            message = f"filter: there is no rule {reference!r} (filters apply to rules about single events)"
            yield document.error(message, ["filter", "rules", at])
    for at, reference in enumerate(_named(document, "correlation")):
        if reference not in known.rules:
            chained = reference in known.correlations
            reason = "correlations of correlations are not supported" if chained else "there is no such rule"
            yield document.error(f"correlation: {reference!r}: {reason}", ["correlation", "rules", at])


def _named(document: Document, key: str) -> list[str]:
    """Give the rules that a filter or correlation names."""
    body = document.data.get(key)
    rules = body.get("rules") if isinstance(body, dict) else None
    every = key == "filter" and isinstance(rules, str) and rules.lower() == "any"
    return [] if every else [each for each in as_list(rules) if isinstance(each, str)]


def _alias(one: Loaded, field: str) -> dict[str, str]:
    """Give what an alias stands for in each base rule; nothing for what is no alias."""
    alias = one.made.aliases.aliases.get(field)
    return {each.reference: name for each, name in alias.mapping.items()} if alias else {}


def _alerting(rule: Rule, alerts: bool) -> Rule:
    return msgspec.structs.replace(rule, alerts=alerts)


def _exempt(one: Loaded, exemptions: list[Exemption]) -> Rule:
    rule: Rule = one.made
    mine = [each for each in exemptions if not each.rules or {one.id, one.name} & set(each.rules)]
    return msgspec.structs.replace(rule, exemptions=tuple(mine))


def _references(one: Loaded) -> list[str]:
    return [reference.reference for reference in one.made.rules or ()]


def _correlation(one: Loaded, known: Known) -> Correlation:
    parsed: SigmaCorrelationRule = one.made
    condition: Any = parsed.condition
    kind, references = parsed.type.name.lower(), _references(one)
    bases = tuple(known.rules[reference] for reference in references)
    return Correlation(
        info=info(parsed, one.extras),
        kind=kind,
        bases=bases,
        group_by=tuple(_spelled(one, parsed.group_by or [], reference) for reference in references),
        span=parsed.timespan.seconds * SECOND,
        threshold=len(bases) if kind.startswith("temporal") else int(condition.count) + (condition.op.name == "GT"),
        value=tuple(path for reference in references for path in _spelled(one, as_list(condition.fieldref), reference)),
    )


def _spelled(one: Loaded, fields: Iterable[str], reference: str) -> tuple[Path, ...]:
    """Give the paths of correlation fields as one base rule spells them."""
    return tuple(parse(plain(_alias(one, field).get(reference, field)))[-1] for field in fields)
