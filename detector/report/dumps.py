"""Dumps of a cluster: what ``kubectl get … -o json`` prints, read for memory."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from detector.encodings.plain import plain
from detector.errors import ConfigError, InputError
from detector.memory.seed import RESOURCES, Entries, cut, entries_of
from detector.report.words import count
from detector.sources.paths import STDIN

HINT = f"give what this prints: kubectl get -A -o json {RESOURCES}"
_LIST = "List"
_SOMETHING = re.compile(r"\S")


def entries_in(paths: Iterable[str]) -> Entries:
    """Read dumps; ``-`` is standard input. Raises InputError, also when memory keeps nothing of what they hold."""
    entries = entries_of(one for path in paths for one in _objects(path))
    if not entries:
        raise InputError(f"nothing that memory keeps is in there: {HINT}")
    return entries


def _objects(path: str) -> Iterator[dict[str, Any]]:
    """Give the objects of a dump: of each document, of lists, of lists of lists."""
    stack = list(reversed(_documents(path)))
    while stack:
        body = stack.pop()
        if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
            raise InputError(f"{plain(path)}: an object of Kubernetes has a kind: {HINT}")
        kind, items = body["kind"], body.get("items")
        if not kind.endswith(_LIST) or not isinstance(items, list):
            yield body
            continue
        # Only kubectl's own List says of each item what it is.
        own = {"kind": kind.removesuffix(_LIST)} if kind != _LIST else {}
        stack.extend({**own, **item} if isinstance(item, dict) else item for item in reversed(items))


def _documents(path: str) -> list[Any]:
    """Give the JSON documents of a file, which may simply follow each other."""
    try:
        data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{plain(path)}: {error.strerror or error}") from None
    try:
        return [orjson.loads(data)]
    except orjson.JSONDecodeError:
        return list(_one_by_one(path, data))


def _one_by_one(path: str, data: bytes) -> Iterator[Any]:
    decoder, text = json.JSONDecoder(), data.decode("utf-8-sig", "replace")
    start = _SOMETHING.search(text)
    if start is None:
        raise InputError(f"{plain(path)}: it is empty: {HINT}")
    while start is not None:
        try:
            document, end = decoder.raw_decode(text, start.start())
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{plain(path)}: this is no JSON ({error}): {HINT}") from None
        yield document
        start = _SOMETHING.search(text, end)


def messages(entries: Entries, cluster: str, who: str) -> Iterator[dict[str, Any]]:
    """Give what a daemon is to be told, in parts (the body of ``POST /api/memory``)."""
    for part in cut(entries):
        yield {"who": who, "cluster": cluster, "entries": part}


def only_one(clusters: Iterable[str]) -> str:
    """Give the cluster that a dump can only be of. Raises ConfigError when there are others."""
    names = list(clusters)
    if len(names) != 1:
        raise ConfigError(f"say which cluster this is: --cluster {plain(' or '.join(names) or 'NAME')}")
    return names[0]


def told(cluster: str, entries: Entries) -> str:
    """Say how much of what memory was told of a cluster."""
    counts = ", ".join(count(len(pairs), name.removesuffix("s")) for name, pairs in entries.items())
    return f"{plain(cluster)}: {counts}"
