"""Suppression: what an owner has asked, with a reason and an end, not to be told about."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import Any

import msgspec

from detector.finding import Finding

MAX_SUPPRESSIONS = 1_000
_WILD = re.compile(r"\[!?\]?[^\]]*\]|[*?]")
"""What in a pattern stands for other characters."""


class Suppression(msgspec.Struct, frozen=True, tag="suppress", kw_only=True):
    """Findings that match every pattern given here open no alert until ``until`` (microseconds, event time).

    Patterns are shell-style (``*``, ``?``, ``[…]``) and ignore case; an empty one matches everything.
    """

    id: str
    owner: str
    reason: str
    until: int
    rule: str = ""
    """The id or the title of the rule."""
    actor: str = ""
    target: str = ""
    source: str = ""
    cluster: str = ""

    @property
    def blanket(self) -> bool:
        """Tell whether it would silence everything."""
        return not any(_WILD.sub("", text) for text in (self.rule, self.actor, self.target, self.source))


class Lift(msgspec.Struct, frozen=True, tag="lift"):
    """A suppression ends before its time."""

    id: str
    who: str = ""
    why: str = ""


class Suppressions:
    """The suppressions of one log, and how many findings each has silenced. The newest `MAX_SUPPRESSIONS` count."""

    def __init__(self) -> None:
        self.all: dict[str, Suppression] = {}
        self.silenced: dict[str, int] = {}
        self._tests: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def add(self, one: Suppression) -> None:
        """Begin one, or change the one of the same id."""
        if one.id not in self.all and len(self.all) >= MAX_SUPPRESSIONS:
            self.lift(min(self.all.values(), key=lambda old: old.until).id)
        self.all[one.id] = one
        self._tests[one.id] = [
            (name, re.compile(translate(pattern.lower())))
            for name in ("rule", "actor", "target", "source", "cluster")
            if (pattern := getattr(one, name))
        ]

    def lift(self, name: str) -> None:
        """End one; nothing happens when there is none of that id."""
        for table in (self.all, self.silenced, self._tests):
            table.pop(name, None)

    def silences(self, finding: Finding, cluster: str) -> bool:
        """Tell whether a finding is suppressed at its time, and count it."""
        for one in self.all.values():
            if finding.time < one.until and self._matches(one.id, finding, cluster):
                self.silenced[one.id] = self.silenced.get(one.id, 0) + 1
                return True
        return False

    def _matches(self, name: str, finding: Finding, cluster: str) -> bool:
        texts = {
            "rule": (finding.rule_id, finding.title),
            "actor": (finding.actor,),
            "target": finding.targets or (finding.target,),
            "source": finding.sources or (finding.source,),
            "cluster": (cluster,),
        }
        # A finding on several targets or sources is silenced only when all of them are meant.
        wanted = {"rule": any}
        return all(
            wanted.get(field, all)(pattern.match(text.lower()) for text in texts[field])
            for field, pattern in self._tests[name]
        )

    def dump(self) -> dict[str, Any]:
        """Give the state for a snapshot."""
        return {"all": [msgspec.to_builtins(one) for one in self.all.values()], "silenced": self.silenced}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        for one in state["all"]:
            self.add(msgspec.convert(one, Suppression))
        self.silenced = dict(state["silenced"])
