"""The data directory: what lies in it, who may use it, and whether its parts belong together."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType

from detector.errors import InUseError, StoreError
from detector.store import restoring
from detector.store.database import START_OVER, explained
from detector.store.journal import KEEP as JOURNAL_KEEP
from detector.store.journal import LIMIT, Journal
from detector.store.snapshots import Snapshots
from detector.store.state import KEEP as ALERTS_KEEP
from detector.store.state import State

log = logging.getLogger(__name__)


class Layout:
    """Where things lie in a data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal, self.state = directory / "journal.db", directory / "state.db"
        self.snapshots, self.lock = directory / "snapshots", directory / "lock"

    @property
    def parts(self) -> tuple[Path, ...]:
        """Give what a store is made of. A state that is there without a journal is refused, so it comes last."""
        return self.snapshots, self.journal, self.state

    def missing(self) -> list[Path]:
        """Give the databases that are not there."""
        return [path for path in (self.state, self.journal) if not path.exists()]

    def empty(self) -> bool:
        """Tell whether nothing was ever stored here."""
        if restoring.unfinished(self.directory):
            return False
        return len(self.missing()) == 2 and not any(self.snapshots.glob("*.snap"))  # noqa: PLR2004


class Lock:
    """Held by the one process that may write in a data directory. The system frees it when the process is gone."""

    def __init__(self, path: Path) -> None:
        """Raises InUseError when another process holds it."""
        with explained(path):
            self._handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(self._handle, 20).decode("ascii", "replace").strip() or "unknown"
                os.close(self._handle)
                raise InUseError(
                    f"{path.parent} is in use by another redshank (process {holder}): stop it, or use another directory"
                ) from None
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let others have it."""
        os.close(self._handle)


class Store:
    """All that is kept, opened for writing by one process at a time."""

    created: bool
    """Nothing was there before: to be told, as a volume that is not mounted looks the same."""

    def __init__(
        self,
        directory: Path,
        *,
        journal_limit: int = LIMIT,
        journal_keep: int = JOURNAL_KEEP,
        alerts_keep: int = ALERTS_KEEP,
    ) -> None:
        """Open the store; a new one in a directory with nothing in it, which is made when missing.

        Raises StoreError, InUseError while another process has it.

        The limit is in bytes, the others are in microseconds.
        """
        layout = Layout(directory)
        with explained(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as undo:
            self._lock = Lock(layout.lock)
            undo.callback(self._lock.close)
            if restoring.unfinished(directory):
                log.warning("%s: a restore was interrupted, and is being finished", directory)
                with explained(directory):
                    restoring.finish(directory, layout.parts)
            self.created = layout.empty()
            _refuse_remains(layout)
            self.state = State(layout.state, keep=alerts_keep)
            undo.callback(self.state.close)
            if not layout.journal.exists() and self.state.emitted_offset >= 0:
                raise _missing(layout, [layout.journal])
            self.journal = Journal(layout.journal, journal_limit, keep=journal_keep)
            undo.callback(self.journal.close)
            self.snapshots = Snapshots(layout.snapshots)
            _refuse_mixture(self)
            undo.pop_all()

    def close(self, timeout: float = 30.0) -> None:
        """Write what was submitted, close everything, and free the lock.

        Raises StoreError when the disk hangs for so many seconds; the lock stays then, as something may yet be written.
        """
        end = monotonic() + timeout
        try:
            self.journal.close(timeout)
        finally:
            self.state.close(max(0.0, end - monotonic()))
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_remains(layout: Layout) -> None:
    """Refuse to make up for a database that has gone: that would be a silent start from nothing.

    The state is made first, so a journal without one, or snapshots without either, have lost theirs.
    """
    missing = layout.missing()
    if layout.state in missing and not layout.empty():
        raise _missing(layout, missing)


def _missing(layout: Layout, missing: list[Path]) -> StoreError:
    names = " and ".join(path.name for path in missing)
    return StoreError(f"{layout.directory} has lost {names}, though other parts are there: {START_OVER}")


def _refuse_mixture(store: Store) -> None:
    """Refuse parts of different times: offsets that were given out must not come to mean something else."""
    last = store.journal.last
    reached = max([store.state.emitted_offset, *store.snapshots.offsets()])
    if last < reached:
        raise StoreError(
            f"{store.journal.path} ends at offset {last}, but {reached} was reached before: the parts of "
            f"{store.journal.path.parent} are not of one time: {START_OVER}"
        )
