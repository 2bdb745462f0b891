"""Reading bodies nobody can rely on: safe access to JSON values, and patches turned into the object they state.

No derived field lives here. A JSON Patch (RFC 6902) is a list of operations, so a rule that asks for a container's
image would miss it; `partial_object` builds what the operations add, the way a merge patch would say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Any

MAX_OPERATIONS = 10_000
"""The API server refuses longer JSON patches (``maxJSONPatchOperations``)."""
MAX_DEPTH = 32
"""Deeper than any field of Kubernetes; it bounds what one operation of a patch can cost."""
_MAX_DIGITS = 5  # of a list index: no list here is longer than MAX_OPERATIONS
_MAX_PATH = 1_000
_MAX_KEY = 317  # the longest label or annotation key: prefix of 253, slash, name of 63


def mapping(value: Any) -> dict[str, Any]:
    """Give the value when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def elements(value: Any) -> list[dict[str, Any]]:
    """Give the objects of a list; none when it is not a list.

    What a strategic merge patch deletes (``$patch: delete``) is left out.
    """
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict) and item.get("$patch") != "delete"]


def texts(value: Any) -> list[str]:
    """Give the strings of a list; none when it is not a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """Give the value when it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def dig(value: Any, *keys: str) -> Any:
    """Follow keys through nested objects; None where the way ends."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def pointer(path: str) -> list[str]:
    """Split a JSON Pointer (RFC 6901) into its unescaped segments, at most `MAX_DEPTH` of them."""
    segments = path.split("/", MAX_DEPTH + 1)[1 : MAX_DEPTH + 1]
    return [segment.replace("~1", "/").replace("~0", "~") for segment in segments]


def is_index(segment: str) -> bool:
    """Say whether a pointer's segment addresses a list: a number, or ``-`` for its end."""
    return segment == "-" or (len(segment) <= _MAX_DIGITS and segment.isascii() and segment.isdecimal())


def leaves(value: Any, prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted path of every leaf, lists walked through without an index; in document order.

    Deeper than `MAX_DEPTH` it stops; keys and paths are cut, because the sum of all paths can outgrow the body.
    """
    stack: list[tuple[tuple[str, ...], Any]] = [(prefix, value)]
    while stack:
        path, node = stack.pop()
        inner: Iterable[tuple[tuple[str, ...], Any]] = ()
        if isinstance(node, dict) and len(path) < MAX_DEPTH:
            inner = [((*path, key[:_MAX_KEY]), child) for key, child in node.items()]
        elif isinstance(node, list):
            inner = [(path, child) for child in node]
        if inner:
            stack.extend(reversed(list(inner)))
        else:
            yield ".".join(path)[:_MAX_PATH]


def partial_object(operations: list[Any]) -> dict[str, Any]:
    """Build the object that JSON Patch operations state; what they remove is null, as in a merge patch.

    Takes the operations over: values that later operations change are changed in place.
    """
    draft = _Draft()
    for operation in islice(operations, MAX_OPERATIONS):
        if isinstance(operation, dict):
            draft.apply(operation)
    return mapping(draft.root)


class _Draft:
    """The object under construction, and which list element each index means.

    The object behind a patch is unknown, so an index is a name: the same one twice is the same element, and an element
    that is added at a taken index never hides the one before it.
    """

    def __init__(self) -> None:
        self.root: Any = {}
        # By id of a list: the list itself (so that the id stays its own), its length when first met, renamed indexes.
        self._lists: dict[int, tuple[list[Any], int, dict[str, int]]] = {}

    def apply(self, operation: dict[str, Any]) -> None:
        """Carry out one operation; what is malformed or needs the old object is passed over."""
        action, path = operation.get("op"), operation.get("path")
        if action not in ("add", "replace", "remove") or not isinstance(path, str):
            return
        value = None if action == "remove" else operation.get("value")
        segments = pointer(path)
        if not segments:
            self.root = value if isinstance(value, dict) else self.root
            return
        node = self.root
        for here, after in pairwise(segments):
            node = self._child(node, here, after)
        self._put(node, segments[-1], value, fresh=action == "add")

    def _child(self, node: Any, segment: str, after: str) -> Any:
        child = node.get(segment) if isinstance(node, dict) else self._element(node, segment)
        if not isinstance(child, dict | list):
            child = [] if is_index(after) else {}
            self._put(node, segment, child, fresh=False)
        return child

    def _put(self, node: Any, segment: str, value: Any, *, fresh: bool) -> None:
        if isinstance(node, dict):
            node[segment] = value
            return
        position = None if fresh else self._position(node, segment)
        if position is not None:
            node[position] = value
        else:
            self._names(node)[1][segment] = len(node)
            node.append(value)

    def _element(self, node: list[Any], segment: str) -> Any:
        position = self._position(node, segment)
        return None if position is None else node[position]

    def _position(self, node: list[Any], segment: str) -> int | None:
        length, names = self._names(node)
        if segment in names and segment != "-":
            return names[segment]
        return int(segment) if segment != "-" and is_index(segment) and int(segment) < length else None

    def _names(self, node: list[Any]) -> tuple[int, dict[str, int]]:
        _, length, names = self._lists.setdefault(id(node), (node, len(node), {}))
        return length, names
