"""Falco's rules files: YAML → lists, macros and rules, with what later items append and replace.

What an item may say is that of Falco's own loader (userspace/engine/rule_loader_reader.cpp and _collector.cpp). All
values are read as texts, as Falco does: ``yes`` and ``1.10`` are what they look like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from detector.errors import RuleError
from detector.sigma.source import Document, RuleFile, documents, nodes

MOST = 100_000
"""Values of one item: with aliases a small file can mean very many."""
DEEPEST = 6
PASSED_OVER = ("required_engine_version", "required_plugin_versions")
APPENDED = {"condition", "output", "desc", "tags", "exceptions"}
REPLACED = APPENDED | {"priority", "enabled", "warn_evttypes", "skip-if-unknown-filter"}
NEEDED = ("condition", "desc", "output", "priority")
"""What a rule must say."""
_NULL = "tag:yaml.org,2002:null"


class Place(msgspec.Struct, frozen=True):
    """Where an item is: a file's document and the number of the item in it."""

    document: Document
    number: int

    def error(self, message: str, key: str = "", word: str = "") -> RuleError:
        """Make the error that points at a key of the item, or at a word near it."""
        return self.document.error(message, [self.number, key] if key else [self.number], word)


@dataclass
class Definition:
    """A list, a macro or a rule: all keys it has by now, and where it was first said."""

    kind: str
    name: str
    place: Place
    keys: dict[str, Any]

    @property
    def condition(self) -> str:
        """The text of its condition."""
        return str(self.keys["condition"])


@dataclass
class Ruleset:
    """Everything in some rules files, in the order in which it was first said."""

    lists: dict[str, Definition] = field(default_factory=dict)
    macros: dict[str, Definition] = field(default_factory=dict)
    rules: dict[str, Definition] = field(default_factory=dict)
    broken: list[tuple[str, str, RuleError]] = field(default_factory=list)
    """Items that cannot be used: kind, name, and why."""


def read(files: Iterable[RuleFile]) -> Ruleset:
    """Read rules files, later ones on top of earlier ones. Raises RuleError for what is no rules file."""
    found = Ruleset()
    for file in files:
        for document, items in _items(file):
            for number, item in enumerate(items):
                _add(found, Place(document, number), item)
    return found


def _items(file: RuleFile) -> Iterator[tuple[Document, list[yaml.Node]]]:
    for error in documents(file)[1]:
        if error.message.startswith("not YAML"):
            raise error
    for number, node in enumerate(nodes(file)):
        document = Document(file, number, {})
        if isinstance(node, yaml.SequenceNode):
            yield document, node.value
        elif node.tag != _NULL:
            raise document.error("a rules file of Falco is a list of rules, macros and lists")


def _add(found: Ruleset, place: Place, node: yaml.Node) -> None:
    kind, name = "item", ""
    try:
        keys = _plain(node)
        if not isinstance(keys, dict):
            raise place.error("an item must be a mapping of keys to values")
        kind = next((each for each in ("list", "macro", "rule", *PASSED_OVER) if each in keys), "item")
        if kind in PASSED_OVER:
            return
        if kind == "item":
            raise place.error(f"neither rule, macro nor list: {', '.join(keys)}")
        name = str(keys[kind])
        _define(found, Definition(kind, name, place, keys))
    except RuleError as error:
        found.broken.append((kind, name, error if error.path else place.error(error.message)))


def _plain(node: yaml.Node, depth: int = 0, left: list[int] | None = None) -> Any:
    """Give a node's texts, lists and mappings. Raises RuleError, without a place, for too many."""
    left = [MOST] if left is None else left
    left[0] -= 1
    if left[0] < 0 or depth > DEEPEST:
        raise RuleError("too many values, or too deep, for an item of a rules file")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1, left) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value, depth + 1, left) for key, value in node.value}
    return None if node.tag == _NULL else str(node.value)


def _define(found: Ruleset, new: Definition) -> None:
    known = {"list": found.lists, "macro": found.macros, "rule": found.rules}[new.kind]
    old = known.get(new.name)
    appended, replaced = _overrides(new)
    if new.kind == "rule" and set(new.keys) == {"rule", "enabled"}:
        appended, replaced = set(), {"enabled"}
    if not appended and not replaced:
        _check(new)
        known[new.name] = new
        return
    if old is None:
        raise new.place.error(f"there is no {new.kind} {new.name!r} before this one to change")
    for key in sorted(replaced & set(new.keys)):
        old.keys[key] = new.keys[key]
    for key in sorted(appended & set(new.keys)):
        old.keys[key] = _joined(old, key, new)
    _check(old)


def _overrides(new: Definition) -> tuple[set[str], set[str]]:
    """Give the keys that an item appends to, and those that it replaces."""
    if _true(new.keys.get("append")):
        return {"list": {"items"}, "macro": {"condition"}}.get(new.kind, {"condition", "exceptions"}), set()
    override = new.keys.get("override")
    if override is None:
        return set(), set()
    if not isinstance(override, dict):
        raise new.place.error("override must say of each key whether to append or to replace", "override")
    allowed = {
        "append": APPENDED if new.kind == "rule" else {"items", "condition"},
        "replace": REPLACED if new.kind == "rule" else {"items", "condition"},
    }
    for key, how in override.items():
        if key not in allowed.get(str(how), ()) or key not in new.keys:
            raise new.place.error(f"override: {key!r} cannot be {how!r}: append or replace a key that is here", key)
    unsaid = sorted((set(new.keys) & allowed["replace"]) - set(override))
    if unsaid:
        raise new.place.error(f"override says neither append nor replace of {unsaid[0]!r}", unsaid[0])
    said = {how: {key for key, each in override.items() if each == how} for how in allowed}
    return said["append"], said["replace"]


def _joined(old: Definition, key: str, new: Definition) -> Any:
    before, more = old.keys.get(key), new.keys[key]
    if key == "exceptions":
        return _with_values(old, before or [], more or [])
    if isinstance(more, list):
        return [*(before or []), *more]
    return f"{before} {more}" if before else more


def _with_values(old: Definition, before: Any, more: Any) -> list[Any]:
    """Join exceptions: to one that is there already, by its name, further values are added."""
    if not all(isinstance(each, dict) for each in [*before, *more]):
        raise old.place.error("an exception must be a mapping of keys to values", "exceptions")
    joined = {str(each.get("name")): dict(each) for each in before}
    for each in more:
        known = joined.setdefault(str(each.get("name")), {**each, "values": []})
        known["values"] = [*(known.get("values") or []), *(each.get("values") or [])]
    return list(joined.values())


def _check(one: Definition) -> None:
    """Refuse an item without what its kind must have. Raises RuleError."""
    needed = {"list": ("items",), "macro": ("condition",)}.get(one.kind, NEEDED)
    for key in needed:
        value = one.keys.get(key)
        if key == "items" and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise one.place.error("items must be a list of texts", key)
        if key != "items" and not (isinstance(value, str) and value.strip()):
            raise one.place.error(f"{key} is missing", key)


def _true(value: Any) -> bool:
    return str(value).lower() in {"true", "yes", "on", "1"}


def enabled(rule: Definition) -> bool:
    """Whether Falco would run a rule."""
    return "enabled" not in rule.keys or _true(rule.keys["enabled"])
