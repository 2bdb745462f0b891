"""Measuring: CPU time of several things in turn, and the memory and start of a process of its own."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

Task = Callable[[], object]


def interleaved(makers: dict[str, Callable[[], Task]], rounds: int = 5) -> dict[str, float]:
    """Run all tasks in turn, ``rounds`` times over; gives each one's least CPU time in seconds.

    Each run is of a task made for it, off the clock, and gone after it: what one task keeps, or leaves to the garbage
    collector, costs no other. What was there before the clock starts is frozen, as ``redshank replay`` does.
    """
    best = dict.fromkeys(makers, float("inf"))
    for _ in range(rounds):
        for name, make in makers.items():
            task = make()
            gc.collect()
            gc.freeze()
            start = time.process_time()
            task()
            best[name] = min(best[name], time.process_time() - start)
            gc.unfreeze()
    return best


CHILD = r"""
import re, sys
from pathlib import Path
from detector.cli import main
try:
    main()
finally:  # not ru_maxrss: that begins with what the parent had
    print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


def peak_memory(lines: Iterable[bytes]) -> int:
    """Replay lines through a pipe in a process of its own; gives its peak resident memory in KiB."""
    command = [sys.executable, "-c", CHILD, "replay", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for line in lines:
            process.stdin.write(line + b"\n")
        process.stdin.close()
        said = process.stderr.read().decode().split()
    return int(said[-1])


def whole_process(path: Path) -> float:
    """Replay a file in a process of its own; gives wall seconds from start to end."""
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "detector", "replay", str(path), "--json"], check=True, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - start
