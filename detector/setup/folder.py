"""A folder that receives files, for its owner only, and never over others unless told to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from detector.errors import ConfigError, InputError
from detector.setup.certificates import Authority, Pair
from detector.setup.files import CA, CA_KEY, File

LISTED = 3


def authority_in(folder: Path, now: datetime) -> Authority:
    """Give the CA that lies in a folder, or a new one.

    :raises ConfigError: there is half of one, or it is of no use.
    :raises InputError: it cannot be read.
    """
    certificate, key = folder / CA, folder / CA_KEY
    if not certificate.exists() and not key.exists():
        return Authority.new(now)
    try:
        return Authority.load(Pair(certificate.read_bytes(), key.read_bytes()), now)
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}; a CA is {CA} and {CA_KEY}") from None


def write(folder: Path, files: Sequence[File], *, force: bool) -> None:
    """Write files: directories 0700, files 0600. Without `force` nothing is written when one of them is there already.

    A CA that lies there is taken, and so is no hindrance.

    :raises ConfigError: files are there already.
    :raises OSError: the folder cannot be written.
    """
    there = [file.path for file in files if os.path.lexists(folder / file.path) and _differs(folder, file)]
    if there and not force:
        shown = ", ".join(there[:LISTED]) + (" …" if len(there) > LISTED else "")
        raise ConfigError(f"{folder} holds {shown}: choose another folder with --out, or write over them with --force")
    for file in files:
        _write(folder / file.path, file.content)


def _differs(folder: Path, file: File) -> bool:
    """Tell whether writing would change anything; the CA of the folder is written as it was read."""
    try:
        return (folder / file.path).read_bytes() != file.content
    except OSError:
        return True


def _write(path: Path, content: bytes) -> None:
    """Put a file into place in one step; a link that lies there is replaced, not followed."""
    for parent in reversed(path.parents):
        parent.mkdir(mode=0o700, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
