"""Python imports this when its folder is on PYTHONPATH: ``CRASH=point:n`` ends the process at the nth time of a point.

``POISON=id`` ends it whenever an event with that Audit-ID is folded. It is the end that the out-of-memory killer
brings, at a moment that no timing hits reliably.

``AHEAD=file`` sets the daemon's clock ahead by the seconds that the file says; ``SPEED=n`` lets it run n times as fast.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

POINTS = {
    "committed": ("detector.service.daemon", "Daemon._journaled"),
    "told": ("detector.service.folding", "Folding._store"),
    "emitted": ("detector.outbox", "Outbox.wake"),
    "half a snapshot": ("detector.store.snapshots", "_checksum"),
    "folding": ("detector.fold", "Fold.fold"),
    "saving": ("detector.fold", "Fold.snapshot"),
    "clock": ("detector.sinks.base", "SystemClock"),
}
"""Name → module, and what in it is replaced; most are functions, at the call of which the process dies."""


def _die(left: int, method: Callable[..., Any]) -> Callable[..., Any]:
    def dies(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **kwargs)

    return dies


def _poisoned(audit_id: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def dies(fold: Any, record: Any) -> Any:
        if any(event.auditID == audit_id for event in getattr(record.body, "events", ())):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(fold, record)

    return dies


def _moved(file: str, speed: float, clock: Any) -> Any:
    began = time.time()

    class Moved(clock):  # type: ignore[misc]
        """A clock that is wrong."""

        def now(self) -> int:
            """Give the time: microseconds since 1970."""
            ahead = float(Path(file).read_text()) if file else 0.0
            return int(super().now() + 1e6 * (ahead + (speed - 1) * (time.time() - began)))

        def monotonic(self) -> float:
            """Give seconds since some moment."""
            return float(super().monotonic() * speed)

        async def sleep(self, seconds: float) -> None:
            """Wait."""
            await super().sleep(seconds / speed)

    return Moved


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module as usual, then puts the trap into it."""

    def __init__(self, point: str, trapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self.module, self.trap = POINTS[point]
        self.trapped = trapped

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Take over for the one module."""
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As usual."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As usual, and set the trap."""
        self.loader.exec_module(module)
        *owners, name = self.trap.split(".")
        owner = getattr(module, owners[0]) if owners else module
        setattr(owner, name, self.trapped(getattr(owner, name)))


if os.environ.get("CRASH"):
    _point, _, _times = os.environ["CRASH"].partition(":")
    sys.meta_path.insert(0, _Finder(_point, partial(_die, int(_times))))
if os.environ.get("AHEAD") or os.environ.get("SPEED"):
    _speed = float(os.environ.get("SPEED", "1"))
    sys.meta_path.insert(0, _Finder("clock", partial(_moved, os.environ.get("AHEAD", ""), _speed)))
if os.environ.get("POISON"):
    sys.meta_path.insert(0, _Finder("folding", partial(_poisoned, os.environ["POISON"])))
