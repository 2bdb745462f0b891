"""What is wrong with rules, beyond what keeps them from loading: located problems, all of them at once.

Errors are what makes a rule useless, or lets an attacker choose not to be seen; warnings are what makes it expensive or
hard to work with. Nothing here depends on the date.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec
from sigma.correlations import SigmaCorrelationRule

from detector.errors import RuleError
from detector.sigma.coverage import TACTICS, TECHNIQUE
from detector.sigma.document import Loaded
from detector.sigma.load import Known, load_all, unresolved
from detector.sigma.predicate import And, Atom, Each, Named, Not, Or, Predicate, atoms
from detector.sigma.rule import Exemption, Rule
from detector.sigma.selftest import untested
from detector.sigma.source import Document, RuleFile, documents, duplicate_keys

Severity = Literal["error", "warning", "note"]

CLIENTS_WORD = frozenset({"userAgent", "agent.family"})
"""What the client says of itself. Whoever is looked for can say anything."""
ANCHORS = frozenset(
    {
        "verb",
        "key",
        "stage",
        "outcome",
        "write",
        "objectRef.resource",
        "objectRef.subresource",
        "objectRef.apiGroup",
        "objectRef.namespace",
        "responseStatus.code",
        "actor",
        "actor.kind",
        "effective.kind",
        "impersonation",
        "impersonatedUser.username",
        "impersonatedUser.groups",
        "user.username",
    }
)
"""Fields that cost next to nothing and that most events do not have as wanted."""
WANTED = {
    "description": "warning",
    "tags": "warning",
    "falsepositives": "warning",
    "redshank.runbook": "warning",
    "redshank.answers": "note",
    "redshank.message": "note",
}
"""Keys a rule should have, and how bad it is when one is missing."""
MAY_BE_EMPTY = frozenset({"redshank.answers"})
"""Keys that may say that there is nothing: a rule may be an idea of its own."""
CORRELATION = ("type", "rules", "generate", "group-by", "timespan", "condition", "aliases")
"""The keys of a correlation; any other would go unnoticed."""
RARE = frozenset({"impersonation", "impersonatedUser", "impersonatedUser.username", "objectRef.subresource"})
"""Anchors that most events do not have at all."""
NAMESPACES = frozenset({"attack", "car", "cve", "d3fend", "detection", "stp", "tlp"})
"""https://github.com/SigmaHQ/sigma-specification/blob/main/appendix/sigma-tags-appendix.md"""
_ATTACK = re.compile(rf"{TECHNIQUE.pattern}|[gs]\d{{4}}", re.IGNORECASE)
_TAG = re.compile(r"[a-z0-9_-]+\.[a-z0-9._-]+")
_LITERAL = re.compile(r"(?:\.\*)?\^?((?:[\w\s/:@,=<>%&;!'\"~`#-]|\\[^\w\s])+)\$?(?:\.\*)?")
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")
_NULL = frozenset({"null", "exists"})


class Problem(msgspec.Struct, frozen=True):
    """Something wrong at a place in a file (line and column from 1; 0 = unknown)."""

    severity: Severity
    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.severity}: {self.message}"


class Finder:
    """Makes the problems of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.data = document.data
        self.filters = "filter" in self.data
        self.top = "filter" if self.filters else "detection"

    def at(self, severity: Severity, message: str, *trail: str | int) -> Problem:
        """Make a problem at the key that ``trail`` names."""
        return _problem(self.document.error(message, trail), severity)

    def has(self, key: str) -> bool:
        """Tell whether a key (``redshank.runbook``: below another) is there and says something."""
        value: Any = self.data
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return bool(value) or (key in MAY_BE_EMPTY and value == [])


def _problem(error: RuleError, severity: Severity = "error") -> Problem:
    return Problem(severity, error.path, error.line, error.column, error.message)


def lint(files: Iterable[RuleFile], known: Iterable[RuleFile] = ()) -> list[Problem]:
    """List all problems of rule files, by place. ``known`` are other rules that these may refer to."""
    files = list(files)
    loaded, errors = load_all(files)
    paths = {file.path for file in files}
    others = [one for one in load_all(known)[0] if one.document.file.path not in paths]
    problems = [_problem(error) for error in errors]
    written = [document for file in files for document in documents(file)[0]]
    for file in files:
        problems.extend(_duplicate_keys(file))
    for document in written:
        problems.extend(_head(Finder(document)))
    for one in loaded:
        problems.extend(_body(one))
    problems.extend(_untested(loaded))
    problems.extend(_references(written, loaded, others))
    return sorted(set(problems), key=lambda problem: (problem.path, problem.line, problem.column, problem.message))


def _duplicate_keys(file: RuleFile) -> Iterator[Problem]:
    for key, line, column in duplicate_keys(file):
        yield Problem("error", file.path, line, column, f"key {key!r} stands twice; only the last one counts")


def _head(find: Finder) -> Iterator[Problem]:
    """Look at what a document says of itself, which can be told whether or not it can be loaded."""
    yield from _metadata(find)
    yield from _tags(find)
    yield from _keys(find)


def _body(one: Loaded) -> Iterator[Problem]:
    find = Finder(one.document)
    if isinstance(one.made, Rule | Exemption):
        for check in CHECKS:
            yield from check(find, one.made.predicate)
    if isinstance(one.made, Rule):
        yield from _anchored(find, one.made.predicate)
    if isinstance(one.made, Exemption):
        yield from _exception(find, one.made)


def _metadata(find: Finder) -> Iterator[Problem]:
    if not find.has("id"):
        yield find.at("error", "id is missing: `uuidgen` makes one")
    if find.filters:
        return
    if not find.has("level"):
        yield find.at("error", "level is missing: informational, low, medium, high or critical")
    for key, severity in WANTED.items():
        if not find.has(key):
            yield find.at("note" if severity == "note" else "warning", f"{key} is missing", *key.split("."))


def _tags(find: Finder) -> Iterator[Problem]:
    tags = find.data.get("tags")
    for at, tag in enumerate(tags if isinstance(tags, list) else ()):
        space, _, name = str(tag).partition(".")
        if not _TAG.fullmatch(str(tag)) or space not in NAMESPACES:
            yield find.at("warning", f"tag {tag!r} is not of a form that Sigma knows", "tags", at)
        elif space == "attack" and name not in TACTICS and not _ATTACK.fullmatch(name):
            near = difflib.get_close_matches(name, TACTICS, n=1)
            hint = f" (did you mean attack.{near[0]}?)" if near else ""
            yield find.at("warning", f"tag {tag!r} is no tactic or technique of ATT&CK{hint}", "tags", at)


def _keys(find: Finder) -> Iterator[Problem]:
    body = find.data.get("correlation")
    for key in body if isinstance(body, dict) else ():
        if key not in CORRELATION:
            near = difflib.get_close_matches(str(key), CORRELATION, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            yield find.at("error", f"a correlation has no key {key!r}{hint}", "correlation", str(key))


def _selections(predicate: Predicate) -> Iterator[tuple[str, Predicate]]:
    """Give the named selections of a predicate."""
    match predicate:
        case Named():
            yield predicate.name, predicate.part
        case And() | Or():
            for part in predicate.parts:
                yield from _selections(part)
        case Not():
            yield from _selections(predicate.part)


def _fields(find: Finder, predicate: Predicate, bad: Callable[[Atom], str]) -> Iterator[Problem]:
    """Give an error or warning for each atom that ``bad`` has a word for (``error: …`` or ``warning: …``)."""
    for name, part in _selections(predicate):
        for atom in atoms(part):
            if word := bad(atom):
                severity, _, message = word.partition(": ")
                yield find.at("error" if severity == "error" else "warning", message, find.top, name, atom.path.name)


def _source_ips(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    def bad(atom: Atom) -> str:
        raw = atom.path.root == "sourceIPs"
        return "error: sourceIPs is the client's word (X-Forwarded-For): use source.ip" if raw else ""

    return _fields(find, predicate, bad)


def _keywords(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    def bad(atom: Atom) -> str:
        return "warning: a keyword looks through every text of every event: name a field" * (atom.kind == "keyword")

    return _fields(find, predicate, bad)


def _regexes(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    def bad(atom: Atom) -> str:
        if atom.kind != "re" or not atom.wanted.startswith("re: "):
            return ""
        patterns = [_FLAGS.sub("", str(operand)) for operand in atom.operands]
        if not all(_LITERAL.fullmatch(pattern) for pattern in patterns):
            return ""
        return f"warning: {patterns[0]!r} is plain text: contains, startswith or endswith is faster (|cased for case)"

    return _fields(find, predicate, bad)


def _exclusions(predicate: Predicate) -> Iterator[Predicate]:
    """Give what a predicate excludes: the parts of its ``not``."""
    match predicate:
        case Not():
            yield predicate.part
            yield from _exclusions(predicate.part)
        case And() | Or():
            for part in predicate.parts:
                yield from _exclusions(part)
        case Named():
            yield from _exclusions(predicate.part)
        case Each():
            yield from _exclusions(predicate.body)


def _stands_on(predicate: Predicate, names: frozenset[str]) -> bool:
    """Tell whether a predicate can hold on the ground of these fields alone."""
    match predicate:
        case Atom():
            return predicate.path.root in names
        case Or():
            return any(_stands_on(part, names) for part in predicate.parts)
        case And():
            return all(_stands_on(part, names) for part in predicate.parts)
        case Named() | Not():
            return _stands_on(predicate.part, names)
        case Each():
            return _stands_on(predicate.body, names)
        case _:
            return False


def _agents(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    grounds = [*_exclusions(predicate), *([predicate] if find.filters else [])]
    if any(_stands_on(ground, CLIENTS_WORD) for ground in grounds):
        what = "filter" if find.filters else "exclusion"
        message = f"the user agent is the client's word: whoever claims the right one passes this {what}"
        yield find.at("error" if find.filters else "warning", message, find.top, "condition")


def _memory(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    """Memory facts may be unknown (null), and ``not`` holds of these too: a rule has to say what it wants then."""
    handled = {atom.path for atom in atoms(predicate) if atom.kind in _NULL}
    excluded = {atom.path: None for part in _exclusions(predicate) for atom in atoms(part) if _remembered(atom)}
    for path in excluded:
        if path not in handled:
            message = f"not over {path.name} holds where it is unknown too: ask for null, or that it exists, as well"
            yield find.at("error", message, find.top, "condition")


def _remembered(atom: Atom) -> bool:
    return atom.path.name.startswith("memory.") and atom.kind not in _NULL


def _unused(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    used = {name for name, _ in _selections(predicate)}
    for name in find.data.get(find.top, {}):
        if name not in {*used, "condition", "rules", "timeframe"}:
            yield find.at("warning", f"selection {name!r} is not in the condition", find.top, str(name))


CHECKS: tuple[Callable[[Finder, Predicate], Iterator[Problem]], ...] = (
    _source_ips,
    _agents,
    _memory,
    _unused,
    _keywords,
    _regexes,
)
"""What is asked of every rule and filter."""


def _anchored(find: Finder, predicate: Predicate) -> Iterator[Problem]:
    if not _anchor(predicate):
        yield find.at(
            "warning",
            "this rule looks closely at every event: ask for a key (resource/subresource), a verb or an outcome too",
            "detection",
        )


def _anchor(predicate: Predicate) -> bool:
    """Tell whether a predicate holds only where some cheap field is as wanted."""
    match predicate:
        case Atom():
            name = predicate.path.name
            return (name in ANCHORS and predicate.kind not in _NULL) or (name in RARE and predicate.kind == "exists")
        case And():
            return any(map(_anchor, predicate.parts))
        case Or():
            return all(map(_anchor, predicate.parts))
        case Named():
            return _anchor(predicate.part)
        case _:
            return False


def _exception(find: Finder, made: Exemption) -> Iterator[Problem]:
    for key in ("owner", "reason"):
        if not find.has(f"redshank.{key}"):
            yield find.at("warning", f"redshank.{key} is missing: a filter should say {_purpose(key)}", "redshank")
    if made.extras.expires:
        message = f"this filter ends on {made.extras.expires.isoformat()} (time of the events)"
        yield find.at("note", message, "redshank", "expires", 0)


def _purpose(key: str) -> str:
    """Say what an owner and a reason are for."""
    return "who answers for it" if key == "owner" else "why it is safe"


def _untested(loaded: list[Loaded]) -> Iterator[Problem]:
    for one in untested(loaded):
        message = "redshank.tests: at least one event that matches and two to ignore are wanted"
        yield Finder(one.document).at("warning", message, "redshank", "tests")


def _references(written: list[Document], loaded: list[Loaded], others: list[Loaded]) -> Iterator[Problem]:
    """Check what rules say of other rules: names used once, correlations and filters that point at something."""
    known = Known.of([*loaded, *others])
    usable = {(one.document.file, one.document.number) for one in loaded}
    broken = [document.data for document in written if (document.file, document.number) not in usable]
    known.rules.update({str(data[key]): "" for data in broken for key in ("id", "name") if key in data})
    names = Counter(one.name for one in [*loaded, *others] if one.name)
    for document in written:
        yield from map(_problem, unresolved(document, known))
    for one in loaded:
        find = Finder(one.document)
        if names[one.name] > 1:
            yield find.at("error", f"the name {one.name!r} is used more than once", "name", 0)
        if isinstance(one.made, SigmaCorrelationRule):
            yield from _correlation(find, one, [*loaded, *others])


def _correlation(find: Finder, one: Loaded, everything: list[Loaded]) -> Iterator[Problem]:
    bases = {reference.reference for reference in one.made.rules or ()}
    for base in everything if one.made.generate else ():
        if isinstance(base.made, Rule) and {base.id, base.name} & bases and base.extras.pack != one.extras.pack:
            said = f"generate: true, but base rule {base.id} is in pack {base.extras.pack}: it alerts only with it"
            yield find.at("warning", said, "correlation", "generate")
