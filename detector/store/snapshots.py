"""Snapshots of the fold: files ``<offset, 20 digits>.snap``, of which some are kept.

A file is a magic word, the BLAKE2b-256 of the rest, and the bytes that the fold gave. It appears under its name when it
is complete and on the disk.
"""

from __future__ import annotations

import logging
import os
import sys
from hashlib import blake2b
from pathlib import Path

from detector.errors import StoreError
from detector.store.database import explained, new_file, sync_directory

MAGIC = b"redshank-snapshot-1\n"
CHECKSUM = 32
SUFFIX = ".snap"

log = logging.getLogger(__name__)


class Snapshots:
    """The snapshots in one directory, which is made for the first."""

    def __init__(self, directory: Path, keep: int = 3) -> None:
        self.directory, self.keep = directory, keep

    def offsets(self) -> list[int]:
        """Give the offsets of all snapshots, oldest first."""
        with explained(self.directory):
            names = [path.name.removesuffix(SUFFIX) for path in self.directory.glob(f"*{SUFFIX}")]
        return sorted(int(name) for name in names if name.isdecimal() and name.isascii())

    def oldest(self) -> int | None:
        """Give the offset of the oldest snapshot; the journal after it is still needed."""
        return next(iter(self.offsets()), None)

    def newest(self, upto: int = sys.maxsize) -> tuple[int, bytes] | None:
        """Give the newest snapshot that can be read, and its offset; none after ``upto``.

        Damaged ones are passed over, with a word in the log.
        """
        for offset in reversed(self.offsets()):
            try:
                if offset <= upto:
                    return offset, self.read(offset)
            except StoreError as error:
                log.error("a snapshot is passed over: %s", error)
        return None

    def read(self, offset: int) -> bytes:
        """Give one snapshot. Raises StoreError when it is damaged or missing."""
        path = self._path(offset)
        with explained(path):
            content = path.read_bytes()
        body = content[len(MAGIC) + CHECKSUM :]
        if content[: len(MAGIC) + CHECKSUM] != MAGIC + _checksum(body):
            raise StoreError(f"{path} is damaged: delete it, an older one will do")
        return body

    def add(self, offset: int, body: bytes) -> None:
        """Keep the fold as it is after ``offset``, and let the oldest go.

        Raises StoreError (StoreFullError where there is no room); then all are as they were.
        """
        path = self._path(offset)
        partial = path.with_name(f"{path.name}.partial")
        with explained(path):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                partial.unlink(missing_ok=True)
                new_file(partial)
                with partial.open("wb") as file:
                    file.writelines((MAGIC, _checksum(body), body))
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
                sync_directory(self.directory)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            self._tidy()

    def _tidy(self) -> None:
        for offset in self.offsets()[: -self.keep]:
            self._path(offset).unlink(missing_ok=True)
        for left in self.directory.glob("*.partial"):
            left.unlink(missing_ok=True)

    def _path(self, offset: int) -> Path:
        return self.directory / f"{offset:020d}{SUFFIX}"


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=CHECKSUM).digest()
