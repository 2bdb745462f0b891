"""Files to batches in the order of time: what replay reads.

Each file is probed for its first event's time. Files are opened when their time comes, and those that overlap (two API
servers, rotated sets of both) are merged by event time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from detector.errors import InputError
from detector.formats import Batch
from detector.sources.logfile import LogFile
from detector.sources.merge import merge
from detector.sources.paths import expand


class FileSource:
    """Reads audit logs from files, folders (recursively), globs and standard input (``-``); compressed ones too.

    Iterating gives `Batch`es with their ``path`` (empty where files are merged). It can be iterated once.

    :param paths: files, folders, globs or ``-``.
    :raises InputError: a path does not exist, cannot be read, or is a folder without an audit log.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.problems: list[str] = []
        """What was wrong with single files; known in full after iteration."""
        self.ignored: list[str] = []
        """Files of folders that hold no audit log."""
        names, found = expand(paths)
        logs = [LogFile(name, self.problems) for name in names]
        for log in logs:
            log.probe()
        self.ignored += (log.path for log in logs if log.path in found and not log.promising)
        self._logs = sorted((log for log in logs if log.path not in self.ignored), key=_due)
        if not self._logs:
            raise InputError(f"{names[0]}: no audit log among the {len(names)} files of the folder; name the right one")

    @property
    def files(self) -> list[str]:
        """The files in the order in which they become due."""
        return [log.path for log in self._logs]

    @property
    def bytes_total(self) -> int | None:
        """Size of all files as they lie on disk; None with standard input among them."""
        sizes = [log.size for log in self._logs]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the files so far, compressed as they are."""
        return sum(log.bytes_read for log in self._logs)

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches of all files in the order of time."""
        yield from merge(self._logs)


def _due(log: LogFile) -> tuple[bool, int]:
    """Files of unknown time come last, in the order given; standard input cannot be probed and is one of them."""
    return (log.time is None, log.time or 0)
