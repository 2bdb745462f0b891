"""Choosing rules to list: by level, pack, what they are about, and words in what they say of themselves."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from detector.errors import ConfigError
from detector.finding import Level, RuleInfo
from detector.sigma.coverage import TACTICS, TECHNIQUE
from detector.sigma.document import Loaded


class Query(msgspec.Struct, frozen=True):
    """Which rules: all of what is given must hold, what is empty is not asked.

    Raises ConfigError for a tactic that does not exist, and for what is no id of a technique.
    """

    level: Level | None = None
    """This one and those above."""
    packs: tuple[str, ...] = ()
    tactic: str = ""
    """As tags name it (credential-access), or its name (Credential Access)."""
    technique: str = ""
    """T1552 is also its subtechniques."""
    tag: str = ""
    answers: str = ""
    text: str = ""
    """Words; each is somewhere in a rule's title, description, names, tags or file name."""

    def __post_init__(self) -> None:
        if self.tactic and _tactic(self.tactic) not in TACTICS:
            near = difflib.get_close_matches(_tactic(self.tactic), TACTICS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(TACTICS)}"
            raise ConfigError(f"--tactic: {self.tactic!r} is no tactic of ATT&CK: {hint}")
        if self.technique and not TECHNIQUE.fullmatch(self.technique):
            raise ConfigError(f"--technique: {self.technique!r} is no technique of ATT&CK: T1552 or T1552.007")

    def takes(self, one: Loaded, info: RuleInfo | None) -> bool:
        """Tell whether a rule is chosen; filters (no info) are where nothing is asked, or by words alone."""
        if not all(word in _words(one) for word in self.text.lower().split()):
            return False
        if info is None:
            return self == Query(text=self.text)
        return (
            (self.level is None or info.level >= self.level)
            and (not self.packs or info.pack in self.packs)
            and (not self.tactic or _tactic(self.tactic) in info.tactics)
            and _under(self.technique, info.techniques)
            and _under(self.tag, _tags(one))
            and (not self.answers or self.answers.lower() in map(str.lower, info.answers))
        )


def _tactic(name: str) -> str:
    return name.strip().lower().replace(" ", "-")


def _under(wanted: str, names: tuple[str, ...]) -> bool:
    """Tell whether a name or something below it is among others; nothing wanted is always there."""
    lower = wanted.lower()
    return not lower or any(name.lower() == lower or name.lower().startswith(f"{lower}.") for name in names)


def _tags(one: Loaded) -> tuple[str, ...]:
    return tuple(map(str, one.document.data.get("tags") or ()))


def _words(one: Loaded) -> str:
    """Give what is searched for words, in lower case."""
    data, extras = one.document.data, one.extras
    said = (str(data.get(key, "")) for key in ("title", "name", "id", "description"))
    listed = (*_tags(one), *extras.answers, *extras.threat_matrix, extras.guide, Path(one.document.file.path).name)
    return " ".join([*said, *listed]).lower()
