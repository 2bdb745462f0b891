"""From paths as a person writes them (files, folders, globs, ``-``) to the files meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from detector.errors import InputError

STDIN = "-"


def expand(paths: Iterable[str | Path]) -> tuple[list[str], set[str]]:
    """Give the files of all paths, each once, and which of them were found in folders rather than named.

    :raises InputError: a path does not exist, cannot be read, or is a folder without files.
    """
    files: dict[str, None] = {}
    found: set[str] = set()
    for path in [os.fspath(path) for path in paths]:
        inside = path != STDIN and os.path.isdir(path)
        for file in _files(path):
            if inside and file not in files:
                found.add(file)
            elif not inside:
                found.discard(file)
            files[file] = None
    if not files:
        raise InputError("no input: name a file, a folder, a glob, or - for standard input")
    return list(files), found


def _files(path: str) -> list[str]:
    if path == STDIN:
        return [path]
    if os.path.isdir(path):
        return _folder(path)
    if os.path.exists(path):
        return [_readable(path)]
    matches = sorted(match for match in glob.glob(path, recursive=True) if not os.path.isdir(match))
    if not matches:
        hint = "the pattern matches no file" if glob.has_magic(path) else "check the name, or quote it if it has spaces"
        raise InputError(f"{path}: no such file or folder; {hint}")
    return [_readable(match) for match in matches]


def _folder(path: str) -> list[str]:
    """Give the regular files below a folder in order of name; hidden ones and links to folders are left out."""
    files: list[str] = []
    for folder, folders, names in os.walk(path, onerror=_refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += (os.path.join(folder, name) for name in sorted(names) if not name.startswith("."))
    files = [file for file in files if os.path.isfile(file)]
    if not files:
        raise InputError(f"{path}: the folder holds no files; name one with audit logs in it")
    return [_readable(file) for file in files]


def _refused(error: OSError) -> None:
    raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror}); check its permissions")


def _readable(path: str) -> str:
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied; run as a user who may read it")
    return path
