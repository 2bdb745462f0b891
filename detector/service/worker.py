"""The fold process: reads the journal in order, folds, and tells the daemon what changed. It writes nothing itself.

It is started by the daemon as ``python -m detector.service.worker`` and ends when the daemon does, for whatever reason.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from detector.alerts.suppress import Lift, Suppression
from detector.encodings.plain import plain
from detector.entries import record_of
from detector.errors import RedshankError
from detector.finding import Alert, Verdict
from detector.fold import Fold
from detector.service.memory import settle
from detector.service.messages import (
    LARGEST,
    Begin,
    FromFold,
    Ready,
    Save,
    Saved,
    Stop,
    ToFold,
    Told,
    Trying,
    Unsaved,
    pack,
    receive,
)
from detector.store.entry import Entry
from detector.store.reader import JournalReader

BAD_STATE = 2
"""The exit code of a fold that cannot use what is stored; another try would end the same way."""
CHUNK = 2 << 20
"""Bytes of the journal that are folded before the daemon hears of it: some milliseconds of work."""
SHARE = 4
"""Snapshots that are asked for may take one part of the time, when folding has so many."""


class Worker:
    """A fold that follows a journal. Raises SnapshotError and StoreError when what is stored cannot be used."""

    def __init__(self, begin: Begin, inbox: queue.SimpleQueue[ToFold], out: BinaryIO) -> None:
        self.begin, self._inbox, self._out = begin, inbox, out
        self.fold = Fold.restore(begin.snapshot) if begin.snapshot is not None else Fold()
        self._reader = JournalReader(Path(begin.journal))
        self._saved_at, self._saved, self._cost = monotonic(), self.fold.offset, 0.0
        self._stopping = self._asked = False
        after = max(begin.careful, self.fold.offset)
        ahead = self._reader.after(after, CHUNK)
        self._careful = range(after + 1, ahead[-1].offset + 1 if ahead else 0)

    def run(self) -> None:
        """Fold until told to stop, or until the daemon is gone."""
        settle()
        self._send(Ready(self.fold.offset, tuple(map(str, self.fold.unusable))))
        while True:
            entries = self._reader.after(self.fold.offset, CHUNK)
            for some in self._apart(entries):
                self._send(self._fold(some))
            if self._stopping and not entries:
                self._save()
                return
            if (left := self._left()) is not None and left <= 0:
                self._save()
            self._hear(wait=not entries)

    def _left(self) -> float | None:
        """Give the seconds until a snapshot is due; None while there is nothing new."""
        if self.fold.offset == self._saved:
            self._asked = False
            return None
        every = min(self.begin.every, SHARE * self._cost) if self._asked else self.begin.every
        return self._saved_at + every - monotonic()

    def _hear(self, *, wait: bool) -> None:
        """Take the messages that are there; wait for one, or until a snapshot is due."""
        left = self._left() if wait else 0.0
        with suppress(queue.Empty):
            self._heed(self._inbox.get(timeout=left and max(0.0, left)))
            while True:
                self._heed(self._inbox.get_nowait())

    def _heed(self, message: ToFold) -> None:
        self._stopping |= isinstance(message, Stop)
        self._asked |= isinstance(message, Save)

    def _apart(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        """Give entries together, but one by one where the process may have died before."""
        for careful, some in groupby(entries, lambda entry: entry.offset in self._careful):
            if not careful:
                yield list(some)
                continue
            for entry in some:
                self._send(Trying(entry.offset))
                yield [entry]

    def _fold(self, entries: list[Entry]) -> Told:
        told = _Gathered()
        for entry in entries:
            record = record_of(entry)
            changes = self.fold.fold(record)
            if entry.offset > self.begin.emitted:
                told.alerts += changes.alerts
                told.decided += changes.decided
                told.failed += [(entry.cluster, *failed) for failed in changes.failed]
                told.refused += [str(changes.refused)] * bool(changes.refused)
        clusters = self.fold.clusters.items()
        return Told(
            offset=self.fold.offset,
            alerts=tuple(told.alerts),
            decided=tuple(told.decided),
            failed=tuple(told.failed),
            refused=tuple(told.refused),
            counters={name: cluster.stats() for name, cluster in clusters},
            sizes={name: cluster.sizes() for name, cluster in clusters},
            rules=len(self.fold.rules.infos),
            silenced=self.fold.suppressions.silenced,
        )

    def _save(self) -> None:
        if self.fold.offset == self._saved:
            return
        began = monotonic()
        snapshot, self._saved = self.fold.snapshot(), self.fold.offset
        fits = len(snapshot) <= LARGEST
        self._send(Saved(self._saved, snapshot) if fits else Unsaved(self._saved, len(snapshot)))
        self._saved_at, self._asked = monotonic(), False
        self._cost = self._saved_at - began

    def _send(self, message: FromFold) -> None:
        self._out.write(pack(message))
        self._out.flush()


class _Gathered:
    """What the records of a chunk changed, together."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.decided: list[Verdict | Suppression | Lift] = []
        self.failed: list[tuple[str, str, str]] = []
        self.refused: list[str] = []


def _listen(stream: BinaryIO, inbox: queue.SimpleQueue[ToFold]) -> None:
    while (message := receive(stream)) is not None:
        inbox.put(message)
    # The daemon is gone: whatever is being done is worth nothing now, and nobody reads what is written.
    os._exit(0)


def main() -> None:
    """Run the fold process: it hears on standard input, and answers on the descriptor that is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the daemon decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begin = receive(sys.stdin.buffer)
    if not isinstance(begin, Begin):
        return
    inbox: queue.SimpleQueue[ToFold] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    try:
        Worker(begin, inbox, os.fdopen(int(sys.argv[1]), "wb")).run()
    except RedshankError as error:
        print(f"redshank: error: {plain(str(error))}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(BAD_STATE)
    # A thread waits on standard input; an orderly end of the interpreter would wait for it.
    os._exit(0)


if __name__ == "__main__":
    main()
