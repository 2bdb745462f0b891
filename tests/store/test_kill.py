"""kill -9 at any moment: what was acknowledged is there, in order, whole, and no more was made up."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from detector.store.checks import check
from detector.store.directory import Store
from detector.store.reader import JournalReader

KILLS = 25
ROOT = Path(__file__).resolve().parents[2]


def run_and_kill(directory: Path, seed: int, after: int) -> list[tuple[int, str]]:
    """Start a process that fills the store, kill it once it has reported some times; gives what it acknowledged."""
    command = [sys.executable, "-m", "tests.store.appender", str(directory), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        lines: list[bytes] = []
        while len(lines) < after and (line := child.stdout.readline()):
            lines.append(line)
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)
        assert child.stderr.read() == b""
    whole = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(offset), digest.decode()) for offset, digest in whole]


def digests(directory: Path) -> dict[int, str]:
    with closing(JournalReader(directory / "journal.db")) as reader:
        return {entry.offset: sha256(entry.body).hexdigest() for entry in reader.after(-1, 1 << 40)}


def test_nothing_acknowledged_is_lost_whenever_the_process_is_killed(tmp_path: Path) -> None:
    chosen = random.Random(4)
    acknowledged: dict[int, str] = {}
    for seed in range(KILLS):
        reported = run_and_kill(tmp_path, seed, chosen.randrange(1, 40))
        assert not acknowledged.keys() & {offset for offset, _ in reported}
        acknowledged.update(reported)
        there = digests(tmp_path)
        assert sorted(there) == list(range(len(there)))
        assert {offset: there.get(offset) for offset in acknowledged} == acknowledged
    assert len(acknowledged) >= KILLS
    with Store(tmp_path) as store:
        emitted = store.state.emitted_offset
        assert emitted <= store.journal.last
        assert len(store.state.alerts(limit=10**6)) == emitted + 1
        assert store.state.outbox_depth()["siem"].waiting == emitted + 1
        newest = store.snapshots.newest()
        assert newest is not None
        assert newest[0] <= emitted
    assert check(tmp_path).problems == []


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.01])
def test_a_store_killed_while_it_is_made_can_be_opened(tmp_path: Path, pause: float) -> None:
    code = "import sys; from pathlib import Path; from detector.store.directory import Store; print(flush=True)\n"
    code += "Store(Path(sys.argv[1]))"
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "data")], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            try:
                child.wait(pause)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
    with Store(tmp_path / "data") as store:
        assert store.journal.last == -1
