"""Alerts, journals and states to test with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from detector.event import SECOND
from detector.finding import Alert, Level, Reason, RuleInfo
from detector.store.entry import Appended, Kind
from detector.store.journal import Journal

NOW = 1_800_000_000 * SECOND
"""The time at which these tests take place."""
WAIT = 30.0
"""Seconds after which a future that does not resolve is a failure."""


def alert(name: str = "a", revision: int = 1, **attributes: Any) -> Alert:
    """Make one revision of an alert."""
    values: dict[str, Any] = {
        "id": name,
        "revision": revision,
        "status": "open",
        "level": Level.high,
        "title": "Secret read",
        "rule": RuleInfo(id="rule-1", title="Secret read", level=Level.high),
        "cluster": "prod",
        "actor": "jane",
        "actor_kind": "human",
        "targets": ("secrets/db",),
        "sources": ("192.0.2.1",),
        "first_seen": NOW,
        "last_seen": NOW,
        "count": 1,
        "reasons": (Reason("sel", "verb", "get"),),
        "audit_ids": ("id-1",),
        "samples": (),
    }
    return Alert(**{**values, **attributes})


def append(journal: Journal, body: bytes = b"{}", *, at: int = NOW, digest: bytes | None = None) -> Appended:
    """Append a batch, and wait until it is on the disk."""
    future = journal.append(Kind.batch, "prod", body, received_at=at, events=1, digest=digest)
    return future.result(WAIT)


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[Path]:
    """Mount a file system of so many bytes; where that is not allowed, the test is skipped."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True, capture_output=True)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> int:
        return self.time
