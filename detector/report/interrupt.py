"""Ctrl-C (or SIGTERM) during a replay: stop between two batches, so that what was found so far can still be told."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While it is entered, the first SIGINT or SIGTERM ends `guard`; a second one is a KeyboardInterrupt, as ever.

    Once the last `guard` is over, what was found is being written: SIGINT is ignored then.
    """

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False
        self._finishing = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._handle) for one in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, before in self._before.items():
            signal.signal(one, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Break off waiting for input at once; let detection finish the batch it is at."""
        if self._finishing and number == signal.SIGINT:
            return
        again, self.asked = self.asked, True
        if self._waiting or again:
            raise KeyboardInterrupt

    def last(self, items: Iterable[T]) -> Iterator[T]:
        """Do as `guard`; when it is over, the rest is not to be interrupted."""
        yield from self.guard(items)
        self._finishing = True

    def guard(self, items: Iterable[T]) -> Iterator[T]:
        """Give the items until there is a signal."""
        iterator = iter(items)
        while not self.asked:
            try:
                self._waiting = True
                item = next(iterator)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waiting = False
            yield item
