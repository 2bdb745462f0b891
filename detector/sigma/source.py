"""Rule files: reading YAML, and saying where in a file something is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from detector.errors import RuleError


class RuleFile(msgspec.Struct, frozen=True):
    """The text of a rule file and the name it goes by."""

    path: str
    text: str


class Document(msgspec.Struct, frozen=True):
    """One YAML document of a rule file: ``number`` counts from 0."""

    file: RuleFile
    number: int
    data: dict[str, Any]

    def error(self, message: str, trail: Iterable[str] = ()) -> RuleError:
        """Make the error that points at the key named by ``trail`` (keys from the top)."""
        line, column = locate(self, list(trail))
        return RuleError(message, self.file.path, line, column)


def read_files(paths: Iterable[Path]) -> list[RuleFile]:
    """Read rule files; folders are searched for ``*.yml`` and ``*.yaml``. RuleError names what cannot be read."""
    files: list[RuleFile] = []
    for path in paths:
        if not path.exists():
            raise RuleError("no such file or folder", str(path))
        found = (
            sorted(each for each in path.rglob("*") if each.suffix in {".yml", ".yaml"}) if path.is_dir() else [path]
        )
        if not found:
            raise RuleError("no rule files (*.yml, *.yaml) in this folder", str(path))
        files.extend(map(_read, found))
    return files


def _read(path: Path) -> RuleFile:
    try:
        return RuleFile(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"cannot read: {error}", str(path)) from None


def documents(file: RuleFile) -> Iterator[Document]:
    """Give the YAML documents of a file; RuleError says where it is not YAML or not a mapping."""
    try:
        for number, data in enumerate(yaml.load_all(file.text, Loader=yaml.CSafeLoader)):
            if data is None:
                continue
            if not isinstance(data, dict):
                raise RuleError("a rule must be a mapping of keys to values", file.path, 1, 1)
            yield Document(file, number, data)
    except ValueError as error:  # such as a date of 30 February
        raise RuleError(f"not YAML: {error}", file.path) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise RuleError(
            f"not YAML: {problem}", file.path, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0
        ) from None


def locate(document: Document, trail: list[str]) -> tuple[int, int]:
    """Find line and column (1-based) of the key that ``trail`` names, or of the nearest one above it."""
    nodes = list(yaml.compose_all(document.file.text, Loader=yaml.CSafeLoader))
    node = nodes[document.number]
    mark = node.start_mark
    for name in trail:
        step = _child(node, name)
        if step is None:
            break
        mark, node = step
    return mark.line + 1, mark.column + 1


def _child(node: Any, name: str) -> tuple[Any, Any] | None:
    """Find a key below a node, looking into lists; ``field`` also finds ``field|modifier``."""
    if isinstance(node, yaml.SequenceNode):
        found = (_child(item, name) for item in node.value)
        return next((step for step in found if step), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if key.value == name or str(key.value).split("|", 1)[0] == name:
            return key.start_mark, value
    return None


def duplicate_keys(file: RuleFile) -> Iterator[tuple[str, int, int]]:
    """Give (key, line, column) of every key that stands twice in one mapping: YAML keeps the last silently."""
    stack: list[Any] = list(yaml.compose_all(file.text, Loader=yaml.CSafeLoader))
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    yield key.value, key.start_mark.line + 1, key.start_mark.column + 1
                seen.add(key.value)
                stack.append(value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
