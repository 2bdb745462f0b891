"""The detector that runs Sigma rules and correlations: Event → Findings."""

from __future__ import annotations

from typing import Any

from detector.bounded import BoundedMap
from detector.event import Event
from detector.finding import Finding, Level, RuleInfo, make_id
from detector.sigma.compile import PROGRAMS, Compiler, Program
from detector.sigma.correlate import Correlator
from detector.sigma.explain import reasons, shown_fields
from detector.sigma.facets import LONGEST, Traits, Vocabulary
from detector.sigma.findings import crossed, failure, finding
from detector.sigma.load import RuleSet
from detector.sigma.predicate import holds
from detector.sigma.rule import Rule

REQUESTS = 80_000
"""Long requests remembered (a quarter of it while seen once), so that the second stage of one does not count again."""
COMPLETE = "ResponseComplete"
SWITCHING = 101
"""The answer to exec, attach and port-forward."""
ALL = "(all rules)"
"""Under this name failures counts the events on which the rules had to be asked one by one."""


class Compiled:
    """A rule set made ready to run, once for all clusters that detect with it. It holds no state of theirs."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules.rules
        self.correlations = rules.correlations
        self.infos: dict[str, RuleInfo] = {info.id: info for info in rules.infos()}
        """What people are told about each rule and correlation, by its id."""
        self.vocabulary = Vocabulary(rule.predicate for rule in self.rules)
        numbered = [(number, rule.predicate) for number, rule in enumerate(self.rules)]
        self._compilers = {
            False: Compiler(numbered),
            True: Compiler(one for one in numbered if self.rules[one[0]].early),
        }
        self.programs: dict[Traits, Program | None] = {}
        """The programs lately used, by the traits of the request."""
        self.feeds = self._wire()

    def _wire(self) -> dict[int, list[tuple[int, int]]]:
        """Map the number of a base rule to the correlations it feeds, by number, and as which of their bases."""
        numbers = {rule.info.id: number for number, rule in enumerate(self.rules)}
        feeds: dict[int, list[tuple[int, int]]] = {}
        for number, correlation in enumerate(self.correlations):
            for index, base in enumerate(correlation.bases):
                feeds.setdefault(numbers[base], []).append((number, index))
        return feeds

    def program(self, event: Event, traits: Traits) -> Program | None:
        """Give the program for an event, and remember it by its traits; None when no rule can hold."""
        program = self._compilers[traits[0]].program(self.vocabulary.key(event))
        if len(self.programs) >= PROGRAMS:
            self.programs.clear()
        if all(len(word) <= LONGEST for word in traits if isinstance(word, str)):
            self.programs[traits] = program
        return program


class SigmaDetector:
    """What one cluster's events have led to so far: the windows of correlations, and the table of requests seen."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self.rules, self.infos = compiled.rules, compiled.infos
        self.correlators = [Correlator(one) for one in compiled.correlations]
        self.failures: dict[str, int] = {}
        """Ids of rules that raised, and how often."""
        self.silenced: dict[str, int] = {}
        """Titles of filters, and how many findings each has silenced."""
        self._traits, self._programs = compiled.vocabulary.traits, compiled.programs
        self._requests: BoundedMap[str] = BoundedMap(REQUESTS)

    def check(self, event: Event, now: int) -> list[Finding]:
        """Give the findings on one event at time ``now`` (microseconds)."""
        traits = self._traits(event)
        try:
            try:
                program = self._programs[traits]
            except KeyError:
                program = self._compiled.program(event, traits)
            hits = program(event, now) if program is not None else None
        except Exception:  # a rule that raises must not cost the others
            hits = self._one_by_one(event, now, early=traits[0])
        return self._findings(event, now, hits) if hits else []

    def _one_by_one(self, event: Event, now: int, *, early: bool) -> list[int]:
        """Ask each rule alone; one that raises is counted, and stays enabled."""
        hits: list[int] = []
        self.failures[ALL] = self.failures.get(ALL, 0) + 1
        for number, rule in enumerate(self.rules):
            try:
                if (rule.early or not early) and holds(rule.predicate, event, now):
                    hits.append(number)
            except Exception:
                self._failed(rule)
                if rule.info.level >= Level.high:
                    hits.append(~number)
        return hits

    def _findings(self, event: Event, now: int, hits: list[int]) -> list[Finding]:
        found: list[Finding] = []
        for hit in hits:
            rule = self.rules[max(hit, ~hit)]
            try:
                if not self._second_stage(rule, event) and not self._silenced(rule, event, now):
                    found += self._of_rule(hit, rule, event, now) if hit >= 0 else [failure(rule.info, event, now)]
            except Exception:  # law 3, as for the question itself
                self._failed(rule)
        return found

    def _of_rule(self, number: int, rule: Rule, event: Event, now: int) -> list[Finding]:
        found: list[Finding] = []
        if rule.alerts:
            why = (*reasons(rule.predicate, event, now), *shown_fields(rule.shows, event))
            found.append(finding(rule.info, event, now, why))
        for index, base in self._compiled.feeds.get(number, ()):
            correlator = self.correlators[index]
            found.extend(crossed(correlator, each, event, now) for each in correlator.feed(base, event, now))
        return found

    def _failed(self, rule: Rule) -> None:
        self.failures[rule.info.id] = self.failures.get(rule.info.id, 0) + 1

    def _silenced(self, rule: Rule, event: Event, now: int) -> bool:
        """Tell whether a filter exempts the event, and count it: silence is not silent."""
        for exemption in rule.exemptions:
            if not holds(exemption.predicate, event, now):
                self.silenced[exemption.title] = self.silenced.get(exemption.title, 0) + 1
                return True
        return False

    def _second_stage(self, rule: Rule, event: Event) -> bool:
        """Tell whether another stage of this request was a finding of this rule already."""
        status = event.responseStatus
        long = event.stage != COMPLETE or event.verb == "watch" or (status is not None and status.code == SWITCHING)
        key = make_id(rule.info.id, event.request_key)
        known = self._requests.get(key)
        if long or known is not None:
            self._requests.put(key, known or event.stage or "")
        return known is not None and known != event.stage

    @property
    def requests(self) -> int:
        """Long requests remembered now."""
        return len(self._requests)

    @property
    def evicted(self) -> int:
        """Groups and requests let go because there were too many."""
        return self._requests.evicted + sum(one.windows.evicted for one in self.correlators)

    def forget(self) -> None:
        """Empty all windows: time has gone back, and what they hold lies in the future."""
        for correlator in self.correlators:
            correlator.windows.clear()

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {
            "requests": self._requests.dump(),
            "failures": self.failures,
            "silenced": self.silenced,
            "windows": {one.rule.info.id: one.dump() for one in self.correlators},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave; windows of correlations that are gone are let go."""
        self._requests.load(state["requests"])
        self.failures, self.silenced = dict(state["failures"]), dict(state["silenced"])
        for correlator in self.correlators:
            if correlator.rule.info.id in state["windows"]:
                correlator.load(state["windows"][correlator.rule.info.id])
