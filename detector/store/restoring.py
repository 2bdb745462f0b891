"""Putting a restored store in the place of another: a crash at any moment leaves the one or the other, never neither.

What is restored is copied to ``restored.partial``, which becomes ``restored`` when it is whole and on the disk. From
then on the restore counts, and whoever uses the directory next finishes it: a part that is still in ``restored`` is to
be put in its place, and what lies in that place is the old store's. That goes to ``restored/replaced``, which becomes
``replaced-N`` at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from detector.errors import StoreError
from detector.store.database import SHM, WAL, sync_directory

PARTIAL, WHOLE, REPLACED = "restored.partial", "restored", "replaced"


def begin(directory: Path) -> Path:
    """Give a new directory to copy a store to. Raises OSError."""
    partial = directory / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    (partial / REPLACED).mkdir(mode=0o700)
    return partial


def commit(directory: Path) -> None:
    """Say that all of the store is in the directory that `begin` gave. Raises OSError."""
    sync_directory(directory / PARTIAL)
    (directory / PARTIAL).rename(directory / WHOLE)
    sync_directory(directory)


def unfinished(directory: Path) -> bool:
    """Tell whether a restore was interrupted after `commit`."""
    return (directory / WHOLE).exists()


def refuse_unfinished(directory: Path) -> None:
    """Raise StoreError where the parts of a store may be of two."""
    if unfinished(directory):
        raise StoreError(
            f"{directory}: a restore was interrupted: start redshank serve, or redshank db restore again, to finish it"
        )


def finish(directory: Path, parts: Sequence[Path]) -> None:
    """Put in place what was committed, part by part; nothing where no restore was interrupted. Raises OSError.

    The directory must be locked. May be interrupted, and called again.
    """
    whole, replaced = directory / WHOLE, directory / WHOLE / REPLACED
    if not whole.exists():
        return
    for part in parts:
        fresh = whole / part.name
        if fresh.exists():
            # The logs go first: one that is left would be taken for the new database's.
            for old in (part.with_name(part.name + suffix) for suffix in (SHM, WAL, "")):
                if old.exists():
                    old.rename(replaced / old.name)
            sync_directory(directory)
            fresh.rename(part)
            sync_directory(directory)
    if replaced.exists():
        replaced.rename(_free(directory)) if any(replaced.iterdir()) else replaced.rmdir()
    whole.rmdir()
    sync_directory(directory)


def _free(directory: Path) -> Path:
    return next(path for number in count(1) if not (path := directory / f"{REPLACED}-{number}").exists())
