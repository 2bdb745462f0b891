"""How rules name values: paths into an event, a derived field, or one element of a list.

A path names an attribute of the event (``objectRef.resource``) or a derived field (``actor.kind``), and walks on into
JSON. A path through a list means each of its elements. After ``annotations``, ``labels`` and ``extra`` the rest is one
key. ``x[]`` marks the list whose elements a selection speaks about one at a time.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from detector.event import Event
from detector.fields import all_fields, field_named

ONE_KEY_AFTER = frozenset({"annotations", "labels", "extra", "matchLabels", "nodeSelector"})
ALIASES = {
    "apiGroup": "objectRef.apiGroup",
    "hostPath": "host_paths",
    "capabilities": "capabilities.added",
}
"""Loose names that published rules use, and what they mean here."""

_BODIES = {"requestObject": "request", "responseObject": "response"}
_STRUCTS = ("user", "impersonatedUser", "objectRef", "responseStatus", "authenticationMetadata")
_ATTRIBUTES = frozenset(Event.__struct_fields__)


class Path(msgspec.Struct, frozen=True):
    """A parsed name: ``root`` (attribute, derived field, or "" for a list element) and the ``keys`` below it."""

    name: str
    root: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def derived(self) -> bool:
        """Whether the root is a derived field rather than an attribute of the event."""
        return self.root not in _ATTRIBUTES and self.root != ""

    def getter(self) -> Callable[[Any], list[Any]]:
        """Give the function that lists all values of this path in an event (or in an element), nulls left out."""
        root, keys = _root(self), self.keys
        if not self.root:
            return lambda element: walk(element, keys)
        if self.root in _STRUCTS:
            return _struct_getter(root, keys)
        if keys:
            return lambda event: walk(root(event), keys)
        return lambda event: leaves(root(event))

    def scalar_getter(self) -> Callable[[Any], Any] | None:
        """Give a faster function for paths that mostly lead to one plain value; None where that cannot be."""
        if not self.root or len(self.keys) > (self.root in _STRUCTS):
            return None
        if not self.keys:
            return _root(self)
        name, (key,) = self.root, self.keys
        return lambda event: None if (struct := getattr(event, name)) is None else getattr(struct, key, None)


def _root(path: Path) -> Callable[[Event], Any]:
    field = field_named(path.root)
    return attrgetter(_BODIES.get(path.root, path.root)) if field is None else field.get


def _struct_getter(root: Callable[[Event], Any], keys: tuple[str, ...]) -> Callable[[Event], list[Any]]:
    """Read ``user.username`` and its like, whose first step is an attribute, not a key."""
    first, rest = (keys[0], keys[1:]) if keys else ("", ())

    def values(event: Event) -> list[Any]:
        struct = root(event)
        if struct is None:
            return []
        value = getattr(struct, first, None) if first else msgspec.to_builtins(struct)
        return walk(value, rest) if rest else leaves(value)

    return values


def leaves(value: Any) -> list[Any]:
    """List the elements of a list, or the value itself; nulls left out."""
    if value is None:
        return []
    return list(_elements(value)) if type(value) is list else [value]


def walk(value: Any, keys: tuple[str, ...]) -> list[Any]:
    """List what lies at ``keys`` below a JSON value; lists on the way and at the end stand for their elements."""
    found = [value]
    for key in keys:
        found = [
            item[key]
            for holder in found
            for item in _elements(holder)
            if type(item) is dict and item.get(key) is not None
        ]
    return [leaf for holder in found for leaf in _elements(holder)]


def _elements(value: Any) -> Iterator[Any]:
    """Give the elements of a list, nested lists opened, nulls left out; anything else is its own only element."""
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend(reversed(item))
        elif item is not None:
            yield item


def parse(name: str) -> tuple[Path, ...]:
    """Read a rule's field name; ``a.b[].c`` gives the path of the list and the path within its elements.

    Raises ValueError with the nearest known name when the root is neither an attribute nor a derived field.
    """
    return _parse(name)


@lru_cache(maxsize=4096)
def _parse(name: str) -> tuple[Path, ...]:
    name = ALIASES.get(name, name)
    keys = name.replace("[]", "").split(".")
    marked = [part.endswith("[]") for part in name.split(".")]
    root = _find_root(".".join(keys))
    depth = root.count(".") + 1
    paths: list[Path] = []
    start = root
    here: list[str] = []
    if marked[depth - 1]:
        paths.append(Path(root, root, ()))
        start = ""
    for index in range(depth, len(keys)):
        if keys[index - 1] in ONE_KEY_AFTER:
            here.append(".".join(name.split(".")[index:]))
            break
        here.append(keys[index])
        if marked[index]:
            paths.append(_path(start, here))
            start, here = "", []
    return (*paths, _path(start, here))


def _find_root(plain: str) -> str:
    parts = plain.split(".")
    derived = all_fields()
    for length in range(len(parts), 0, -1):
        candidate = ".".join(parts[:length])
        if candidate in derived:
            return candidate
    if parts[0] in _ATTRIBUTES:
        _check_attribute(plain, parts)
        return parts[0]
    raise ValueError(f"unknown field {plain!r}{suggestion(plain)}")


def _check_attribute(plain: str, parts: list[str]) -> None:
    """Refuse ``objectRef.resourc``: structs have a fixed set of attributes."""
    if parts[0] not in _STRUCTS or len(parts) == 1:
        return
    if plain not in _struct_names():
        known = [name for name in _struct_names() if name == ".".join(parts[:2])]
        if not known or not parts[1].startswith(("extra", "groups")):
            raise ValueError(f"unknown field {plain!r}{suggestion(plain)}")


@lru_cache(maxsize=1)
def _struct_names() -> frozenset[str]:
    names = set()
    for attribute in msgspec.structs.fields(Event):
        for kind in getattr(attribute.type, "__args__", ()):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                names |= {f"{attribute.name}.{field}" for field in kind.__struct_fields__}
    return frozenset(names)


def known_names() -> list[str]:
    """List every root a rule can name: derived fields, attributes, and the attributes' own attributes."""
    return sorted({*all_fields(), *_ATTRIBUTES, *_struct_names()})


def suggestion(name: str) -> str:
    """Give " (did you mean …?)" for a misspelt name, or nothing."""
    near = difflib.get_close_matches(name, known_names(), n=1, cutoff=0.7)
    return f" (did you mean {near[0]!r}?)" if near else "; `redshank rules fields` lists what there is"


def _path(root: str, keys: list[str]) -> Path:
    return Path(".".join([*([root] if root else []), *keys]), root, tuple(keys))
