"""A thread of its own for calls that may block: files, pipes and terminals have no other way to wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Blocking:
    """Makes calls one after the other on one thread, which does not keep the process alive when it hangs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Make a call, and give or raise what it does. One that was cancelled before its turn is never made."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._calls.put((call, future))
        return await asyncio.wrap_future(future)

    def _serve(self) -> None:
        while (task := self._calls.get()) is not None:
            call, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def stop(self) -> None:
        """Let the thread end after the calls that wait."""
        self._calls.put(None)
        self._thread = None
