"""A SQLite database as it is kept here: how it is opened, and what its errors mean to a person.

Write-ahead log, ``synchronous=FULL``: what is committed is on the disk. https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.errors import StoreError, StoreFullError

OLDEST_SQLITE = (3, 37, 0)
"""Brings STRICT tables."""
BUSY_SECONDS = 10.0
WAL_BYTES = 16 << 20
"""The write-ahead log is copied into the database when it has grown to this."""
WAL_KEPT = 64 << 20
"""After a peak the log is cut to this; a log that keeps its size needs no new room on a full disk."""
WAL, SHM = "-wal", "-shm"

_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
"""A write beyond a quota or a limit on file sizes is SQLITE_IOERR_WRITE."""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CLOSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

FREE_SPACE = "free some space, or enlarge the volume"
START_OVER = (
    "restore a backup (redshank db restore), or move all files of the data directory away to start from nothing"
)
LET_WRITE = "the user redshank runs as must be able to write it and its directory"


def explain(error: Exception, path: Path) -> StoreError:
    """Say what an error of SQLite or of the operating system means, and what to do."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError):
        return _explain_os(error, path)
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _ROOM:
        return StoreFullError(f"{path}: no room on the disk: {FREE_SPACE}")
    primary = code & 0xFF
    if primary in _DAMAGED:
        return StoreError(f"{path} is damaged ({error}): {START_OVER}")
    if primary in _CLOSED:
        return StoreError(f"{path} cannot be opened or written ({error}): {LET_WRITE}")
    if primary in _BUSY:
        return StoreError(f"{path} is held by another program: end that program")
    if primary == sqlite3.SQLITE_IOERR:
        return StoreError(f"{path}: the disk does not work ({error}): see the kernel's log")
    return StoreError(f"{path}: {error}")


def _explain_os(error: OSError, path: Path) -> StoreError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StoreFullError(f"{path}: no room on the disk: {FREE_SPACE}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StoreError(f"{path} cannot be opened or written ({error.strerror}): {LET_WRITE}")
    return StoreError(f"{path}: {error.strerror or error}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the operating system into StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


def connect(path: Path) -> sqlite3.Connection:
    """Open a database that is there, for writing, and change nothing yet: `tune` comes next. Raises StoreError.

    It is used by one thread at a time, though not always by the one that opened it.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: use a Python with SQLite {wanted} or newer")
    with explained(path):
        return _open(path, "mode=rw")


def tune(connection: sqlite3.Connection) -> None:
    """Make a connection write as it is done here. Raises sqlite3.Error, also when the file must not be written."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=OFF")
    # Overwriting what is deleted would write every body twice; credentials never get here.
    connection.execute("PRAGMA secure_delete=OFF")
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_BYTES // page}")
    connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT}")
    # SQLite opens a file it may not write as read-only and says nothing; this asks.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a database that is there, for reading, beside its writer. Raises StoreError."""
    with explained(path):
        connection = _open(path, "mode=ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            log = path.with_name(path.name + WAL)
            if log.exists() and log.stat().st_size:
                raise
            # On a medium that cannot be written: nobody changes it, and no log waits to be read.
            connection = _open(path, "mode=ro&immutable=1")
        except BaseException:
            connection.close()
            raise
        return connection


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def new_file(path: Path) -> None:
    """Make an empty file that only its owner can read. Raises OSError when there is one."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def sync_directory(path: Path) -> None:
    """Make a rename in a directory last."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Remove a database file and what SQLite keeps beside it."""
    for suffix in ("", WAL, SHM, "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def copy(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database, as ``source`` sees it, to a file that appears when it is complete. Raises StoreError."""
    partial = target.with_name(f"{target.name}.partial")
    with explained(target):
        try:
            discard(partial)
            new_file(partial)
            copied = _open(partial, "mode=rw")
            try:
                source.backup(copied)
                # A file by itself, with no log beside it.
                copied.execute("PRAGMA journal_mode=DELETE")
            finally:
                copied.close()
            partial.replace(target)
            sync_directory(target.parent)
        except BaseException:
            discard(partial)
            raise


def sizes(connection: sqlite3.Connection) -> tuple[int, int]:
    """Give the bytes in use, and the bytes in the file that are free. Costs no scan."""
    ((page,), (pages,), (free,)) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
    )
    return (pages - free) * page, free * page


def give_back(connection: sqlite3.Connection, pages: int = 256) -> None:
    """Shorten a file of which most is free, by a few pages: as much as does not hold up the other writers."""
    used, free = sizes(connection)
    if free > used:
        for _ in range(pages):  # sqlite3 stops after the first step of a statement without columns: one page
            connection.execute("PRAGMA incremental_vacuum(1)")
