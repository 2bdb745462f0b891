"""Backing up a data directory while it is in use, and restoring it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from detector.errors import StoreError
from detector.store import restoring
from detector.store.checks import check
from detector.store.database import connect_read_only, copy, explained, sync_directory
from detector.store.directory import Layout, Lock
from detector.store.snapshots import Snapshots
from detector.store.tables import EMITTED


def backup(directory: Path, to: Path) -> None:
    """Copy the store of a data directory, as it is at one moment, into a new directory, which appears when it is whole.

    The daemon may go on meanwhile. Raises StoreError.
    """
    source = Layout(directory)
    restoring.refuse_unfinished(directory)
    if source.missing():
        raise StoreError(f"{directory} holds no whole store: see redshank db check {directory}")
    if to.exists():
        raise StoreError(f"{to} exists already: name a new directory for the backup")
    partial = to.with_name(f"{to.name}.partial")
    with explained(to):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        try:
            _copy(source, Layout(partial))
            partial.rename(to)
            sync_directory(to.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def restore(backed_up: Path, directory: Path, *, replace: bool = False) -> None:
    """Put the store of a backup into a data directory that no redshank uses.

    With ``replace`` a store that is there is moved to ``replaced-N`` inside the directory. Raises StoreError, also when
    the backup is damaged; then all is as it was. What is interrupted is as if it had not begun, or is finished by
    whoever uses the directory next.
    """
    problems = check(backed_up, quick=True).problems
    if problems:
        raise StoreError(f"the backup cannot be used: {problems[0]}")
    target = Layout(directory)
    with explained(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(Lock(target.lock)):
            restoring.finish(directory, target.parts)
            if not target.empty() and not replace:
                raise StoreError(f"{directory} holds a store already: --replace moves it aside")
            fresh = Layout(restoring.begin(directory))
            _copy(Layout(backed_up), fresh)
            fresh.snapshots.mkdir(mode=0o700, exist_ok=True)  # before the first snapshot a backup has none
            restoring.commit(directory)
            restoring.finish(directory, target.parts)


def _copy(source: Layout, target: Layout) -> None:
    """Copy what belongs together: snapshot <= emitted offset <= journal, and no gap after the snapshot."""
    with ExitStack() as opened:
        state = _at_one_moment(source.state, opened)
        emitted = int((state.execute("SELECT value FROM meta WHERE key = ?", (EMITTED,)).fetchone() or (-1,))[0])
        newest = Snapshots(source.snapshots).newest(emitted)
        journal = _at_one_moment(source.journal, opened)
        (first,) = journal.execute('SELECT min("offset") FROM entries').fetchone()
        if (first or 0) > (newest[0] if newest else -1) + 1:
            raise StoreError(f"{source.directory} has changed while it was being read: try again")
        snapshots = Snapshots(target.snapshots)
        if newest is not None:
            snapshots.add(*newest)
        copy(state, target.state)
        copy(journal, target.journal)


def _at_one_moment(path: Path, opened: ExitStack) -> sqlite3.Connection:
    """Open a database; what is read of it stays as it is now."""
    connection = opened.enter_context(closing(connect_read_only(path)))
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection
