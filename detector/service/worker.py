"""The fold process: reads the journal in order, folds, and tells the daemon what changed. It writes nothing itself.

It is started by the daemon as ``python -m detector.service.worker`` and ends when the daemon does, for whatever reason.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
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
from detector.service.messages import Begin, FromFold, More, Ready, Saved, Stop, ToFold, Told, pack, receive
from detector.store.entry import Entry
from detector.store.reader import JournalReader

BAD_STATE = 2
"""The exit code of a fold that cannot use what is stored; another try would end the same way."""
CHUNK = 2 << 20
"""Bytes of the journal that are folded before the daemon hears of it: some milliseconds of work."""


class Worker:
    """A fold that follows a journal. Raises SnapshotError and StoreError when what is stored cannot be used."""

    def __init__(self, begin: Begin, inbox: queue.SimpleQueue[ToFold | None], out: BinaryIO) -> None:
        self.begin, self._inbox, self._out = begin, inbox, out
        self.fold = Fold.restore(begin.snapshot) if begin.snapshot is not None else Fold()
        self._reader = JournalReader(Path(begin.journal))
        self._saved_at, self._saved = monotonic(), self.fold.offset

    def run(self) -> None:
        """Fold until told to stop, or until the daemon is gone."""
        settle()
        self._send(Ready(self.fold.offset, tuple(map(str, self.fold.unusable))))
        stopping = False
        while True:
            entries = self._reader.after(self.fold.offset, CHUNK)
            if entries:
                self._send(self._fold(entries))
            if self.fold.offset > self._saved and (
                monotonic() - self._saved_at >= self.begin.every or (stopping and not entries)
            ):
                self._save()
            if entries:
                continue
            if stopping:
                return
            message = self._next()
            if message is None:
                return
            stopping = isinstance(message, Stop)

    def _next(self) -> ToFold | None:
        """Wait for a message; the last of several that say the same counts for all."""
        timeout = (
            max(0.0, self.begin.every - (monotonic() - self._saved_at)) if self.fold.offset > self._saved else None
        )
        try:
            message = self._inbox.get(timeout=timeout)
            while isinstance(message, More):
                message = self._inbox.get_nowait()
        except queue.Empty:
            return More()
        return message

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
        )

    def _save(self) -> None:
        self._saved_at, self._saved = monotonic(), self.fold.offset
        self._send(Saved(self.fold.offset, self.fold.snapshot()))

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


def _listen(stream: BinaryIO, inbox: queue.SimpleQueue[ToFold | None]) -> None:
    while (message := receive(stream)) is not None:
        inbox.put(message)
    # The daemon is gone: whatever is being done is worth nothing now, and nobody reads what is written.
    os._exit(0)


def main() -> None:
    """Run the fold process on standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the daemon decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begin = receive(sys.stdin.buffer)
    if not isinstance(begin, Begin):
        return
    inbox: queue.SimpleQueue[ToFold | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    try:
        Worker(begin, inbox, sys.stdout.buffer).run()
    except RedshankError as error:
        print(f"redshank: error: {plain(str(error))}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(BAD_STATE)
    # A thread waits on standard input; an orderly end of the interpreter would wait for it.
    os._exit(0)


if __name__ == "__main__":
    main()
