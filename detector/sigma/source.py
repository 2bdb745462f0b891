"""Rule files: reading YAML, and saying where in a file something is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from yaml.constructor import SafeConstructor

from detector.errors import RuleError

DEEPEST, SUSPICIOUS = 1000, 5000
"""How deep YAML may be nested, and how many brackets are looked at more closely."""


class RuleFile(msgspec.Struct, frozen=True):
    """The text of a rule file and the name it goes by."""

    path: str
    text: str


class Document(msgspec.Struct, frozen=True):
    """One YAML document of a rule file: ``number`` counts from 0."""

    file: RuleFile
    number: int
    data: dict[str, Any]

    def error(self, message: str, trail: Iterable[str | int] = (), word: str = "") -> RuleError:
        """Make the error that points at what ``trail`` leads to from the top, or at a word there.

        A text in the trail is a key, and the place is that of the key; a number is an element of a list, or 0 for a
        single value, and the place is that of the value. Where the trail ends early, the last place found counts.
        """
        node = nodes(self.file)[self.number]
        mark = node.start_mark
        for step in trail:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found
        line, column = _find(self.file.text, word, mark, node.end_mark)
        return RuleError(message, self.file.path, line, column)


def read_files(paths: Iterable[Path]) -> list[RuleFile]:
    """Read rule files; folders are searched for ``*.yml`` and ``*.yaml``. RuleError names what cannot be read."""
    return [read_file(path) for path in find_files(paths)]


def find_files(paths: Iterable[Path]) -> list[Path]:
    """List rule files, those in folders too. Raises RuleError for what is not there."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise RuleError("no such file or folder", str(path))
        found = (
            sorted(each for each in path.rglob("*") if each.suffix in {".yml", ".yaml"}) if path.is_dir() else [path]
        )
        if not found:
            raise RuleError("no rule files (*.yml, *.yaml) in this folder", str(path))
        files.extend(found)
    return files


def read_file(path: Path) -> RuleFile:
    """Read one rule file. Raises RuleError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RuleError(f"cannot read: {error.strerror or error}", str(path)) from None
    try:
        return RuleFile(str(path), data.decode().replace("\r\n", "\n").replace("\r", "\n"))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().split("\n")
        raise RuleError("cannot read: this is not UTF-8", str(path), len(before), len(before[-1]) + 1) from None


def _date(constructor: SafeConstructor, node: yaml.ScalarNode) -> Any:
    """Give a date, a time, or the text of one that does not exist: whoever wants a date says so, and where it is."""
    try:
        return constructor.construct_yaml_timestamp(node)
    except ValueError:
        return node.value


class _Constructor(SafeConstructor):
    """Makes values of nodes as yaml.safe_load does, but for odd dates."""

    yaml_constructors = {**SafeConstructor.yaml_constructors, "tag:yaml.org,2002:timestamp": _date}  # noqa: RUF012


def documents(file: RuleFile, *, tests: bool = True) -> tuple[list[Document], list[RuleError]]:
    """Give the YAML documents of a file, and what is no YAML or no mapping; nothing is read after what is no YAML.

    :param tests: False leaves out the tests inside rules, which are most of what there is to read.
    """
    found: list[Document] = []
    errors: list[RuleError] = []
    # Making values writes merged keys (<<) into the nodes, which `nodes` gives as they are written.
    composed, broken = _compose(file)
    for number, node in enumerate(composed):
        try:
            if not tests:
                _drop_tests(node)
            data = _Constructor().construct_document(node)
        except yaml.MarkedYAMLError as error:
            errors.append(_located(file, f"not YAML: {error.problem}", error.problem_mark))
        except (ValueError, RecursionError) as error:
            errors.append(_located(file, f"not YAML: {error}", node.start_mark))
        else:
            if isinstance(data, dict):
                found.append(Document(file, number, data))
            elif data is not None:
                errors.append(_located(file, "a rule must be a mapping of keys to values", node.start_mark))
    return found, errors + ([broken] if broken else [])


def nodes(file: RuleFile) -> tuple[Any, ...]:
    """Give the YAML nodes of the documents of a file, as far as it is YAML; a node knows where it stands."""
    return _composed(file)


@lru_cache(maxsize=16)
def _composed(file: RuleFile) -> tuple[Any, ...]:
    return _compose(file)[0]


def _drop_tests(node: Any) -> None:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "redshank" and isinstance(value, yaml.MappingNode):
            value.value = [pair for pair in value.value if pair[0].value != "tests"]


def _compose(file: RuleFile) -> tuple[tuple[Any, ...], RuleError | None]:
    found: list[Any] = []
    if _too_deep(file.text):
        return (), RuleError(f"not YAML for rules: nested more than {DEEPEST} times", file.path, 1, 1)
    try:
        for node in yaml.compose_all(file.text, Loader=yaml.CSafeLoader):
            found.append(node)
    except yaml.MarkedYAMLError as error:
        return tuple(found), _located(file, f"not YAML: {error.problem}", error.problem_mark)
    except (yaml.YAMLError, RecursionError) as error:
        return tuple(found), RuleError(f"not YAML: {error}", file.path)
    return tuple(found), None


def _too_deep(text: str) -> bool:
    """Tell whether composing would end the process: libyaml goes down by recursion, without a limit."""
    if sum(map(text.count, ("[", "{", "- - ", "? ? "))) < SUSPICIOUS:
        return False
    depth = 0
    with suppress(yaml.YAMLError):  # told when it is composed
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                return True
    return False


def _located(file: RuleFile, message: str, mark: Any) -> RuleError:
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return RuleError(message, file.path, line, column)


def _find(text: str, word: str, start: Any, end: Any) -> tuple[int, int]:
    """Give line and column (from 1) of a word between two marks; of the first mark where it is not there."""
    lines = text.splitlines()[start.line : end.line + 1] if word else []
    for number, line in enumerate(lines):
        column = line.find(word, 0 if number else start.column)
        if column >= 0:
            return start.line + number + 1, column + 1
    return start.line + 1, start.column + 1


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """Take a step of a trail: gives the mark to point at and the node there; None where there is no such thing."""
    if isinstance(step, int):
        return _element(node, step)
    if isinstance(node, yaml.SequenceNode):
        found = (_child(item, step) for item in node.value)
        return next((each for each in found if each), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    named = [(str(key.value), key.start_mark, value) for key, value in node.value]
    exact = [(mark, value) for name, mark, value in named if name == step]
    return next(iter([*exact, *((mark, value) for name, mark, value in named if name.split("|", 1)[0] == step)]), None)


def _element(node: Any, index: int) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.SequenceNode) and index < len(node.value):
        return node.value[index].start_mark, node.value[index]
    return (node.start_mark, node) if isinstance(node, yaml.ScalarNode) and index == 0 else None


def duplicate_keys(file: RuleFile) -> Iterator[tuple[str, int, int]]:
    """Give (key, line, column) of every key that stands twice in one mapping: YAML keeps the last silently."""
    stack: list[Any] = list(nodes(file))
    known: set[int] = set()  # an alias is the node it stands for, which may even hold itself
    while stack:
        node = stack.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    yield key.value, key.start_mark.line + 1, key.start_mark.column + 1
                seen.add(key.value)
                stack.append(value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
