"""Ctrl-C during a replay: stop between two batches, so that what was found so far can still be told."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import TypeVar

T = TypeVar("T")


class Interrupt:
    """While it is entered, the first SIGINT ends `guard`; a second one is a KeyboardInterrupt, as ever."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False
        self._before: object = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Break off waiting for input at once; let detection finish the batch it is at."""
        again, self.asked = self.asked, True
        if self._waiting or again:
            raise KeyboardInterrupt

    def guard(self, items: Iterable[T]) -> Iterator[T]:
        """Give the items until there is a SIGINT."""
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
