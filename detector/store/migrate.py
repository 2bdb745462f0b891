"""Versions of a database: made new, brought up to date with a copy kept, refused when made by a newer redshank.

The version is SQLite's ``user_version``, and counts the migrations that have run. The first makes the tables.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from detector.errors import StoreError
from detector.store.database import (
    START_OVER,
    connect,
    connect_read_only,
    copy,
    discard,
    explained,
    new_file,
    sync_directory,
    tune,
)

Migration = tuple[str, ...]
"""The statements that make the next version of a database; they run in one transaction."""


class Schema(NamedTuple):
    """What a kind of database holds."""

    name: str
    application_id: int
    """Tells SQLite files apart (https://www.sqlite.org/pragma.html#pragma_application_id)."""
    page_size: int
    migrations: tuple[Migration, ...]

    @property
    def version(self) -> int:
        """The version that this redshank writes."""
        return len(self.migrations)


def open_database(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a database for writing: a new one where there is no file, in this redshank's version. Raises StoreError."""
    if not path.exists():
        _create(path, schema)
    with explained(path):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    connection = connect(path)
    try:
        with explained(path):
            version = version_of(connection, path, schema)
            tune(connection)
            if version < schema.version:
                copy(connection, path.with_name(f"{path.name}.version-{version}"))
                _migrate(connection, schema, version)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a database for reading, beside its writer. Raises StoreError, also when it must be migrated first."""
    connection = connect_read_only(path)
    try:
        with explained(path):
            version = version_of(connection, path, schema)
            if version < schema.version:
                raise StoreError(f"{path} is of version {version}, and {schema.version} is needed: start redshank once")
    except BaseException:
        connection.close()
        raise
    return connection


def version_of(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """Give the version of a database. Raises StoreError when it is no such database, or too new."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != schema.application_id:
        raise StoreError(f"{path} is damaged, or not the {schema.name} of redshank: {START_OVER}")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.version:
        raise StoreError(
            f"{path} was written by a newer redshank (version {version}, this one knows {schema.version}): "
            f"install that redshank again, or go back to {path.name}.version-{schema.version} where there is one"
        )
    return version


def _create(path: Path, schema: Schema) -> None:
    """Make a new database, which appears under its name when it is complete: an empty file is a damaged one."""
    fresh = path.with_name(f"{path.name}.new")
    with explained(path):
        discard(fresh)
        new_file(fresh)
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size={schema.page_size}")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute(f"PRAGMA application_id={schema.application_id}")
            _migrate(connection, schema, 0)
        finally:
            connection.close()
        fresh.rename(path)
        sync_directory(path.parent)


def _migrate(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    for number, statements in enumerate(schema.migrations[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
