"""``python -m benchmarks.takeover``: how long nobody answers when the active one of two replicas is killed.

Both share one data directory on this machine; the second waits for it (``redshank serve --standby``). Batches of 400
events are posted without end; whenever one gets no 200 it is posted again until it does, and the time from the kill to
that answer is the gap. In the end every event that was answered for must have been looked at, once. In a cluster the
time that the Service needs to notice comes on top.
"""

from __future__ import annotations

import argparse
import itertools
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import yaml

from benchmarks import logs
from benchmarks.__main__ import SAMPLE

BATCH = 400
PAUSE = 0.02
"""Seconds between two tries."""
PATIENCE = 81.25
"""Seconds over which an API server tries, with its initial back-off of 10 s: 10 x (1 + 1.5 + 1.5² + 1.5³)."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    parser.add_argument("--log", type=Path, default=SAMPLE, help="a recording (JSON lines, gzip or plain)")
    parser.add_argument("--rounds", type=int, default=10, help="how often the active replica is killed")
    parser.add_argument("--between", type=float, default=10.0, help="seconds of traffic before each kill")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        try:
            gaps = pair.measure(options.rounds, options.between, batches(logs.lines(options.log)))
            looked_at = pair.looked_at()
        finally:
            pair.stop()
    print(f"{len(gaps)} kills, seconds without an answer: {', '.join(f'{gap:.1f}' for gap in gaps)}")
    print(f"median {statistics.median(gaps):.1f}, longest {max(gaps):.1f}; an API server tries for {PATIENCE:.0f}")
    print(f"events answered for {pair.answered:,}, looked at {looked_at:,}")
    sys.exit(0 if looked_at == pair.answered and max(gaps) < PATIENCE else 1)


def batches(lines: list[bytes]) -> Iterator[bytes]:
    """Give bodies without end, each event of its own: the same ones with other ids."""
    events = [orjson.loads(line) for line in lines]
    for turn in itertools.count():
        for start in range(0, len(events), BATCH):
            items = [event | {"auditID": f"{turn}-{event['auditID']}"} for event in events[start : start + BATCH]]
            yield orjson.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items})


class Pair:
    """Two replicas of one data directory: the last is active or will be, the other waits for it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.config = folder / "data", folder / "redshank.yaml"
        self.data.mkdir(mode=0o700)
        self.webhook, self.web = free_port(), free_port()
        settings = {
            "data_dir": str(self.data),
            "webhook": {"listen": f"127.0.0.1:{self.webhook}"},
            "web": {"listen": f"127.0.0.1:{self.web}"},
            "sinks": [{"type": "file", "name": "file", "path": str(folder / "alerts.jsonl")}],
        }
        self.config.write_text(yaml.safe_dump(settings))
        self.answered = 0
        self.replicas = [self._replica()]

    def _replica(self) -> subprocess.Popen[bytes]:
        """Start one, which waits while the other has the data directory."""
        return subprocess.Popen([sys.executable, "-m", "detector", "serve", "--standby", "--config", str(self.config)])

    def measure(self, rounds: int, between: float, bodies: Iterator[bytes]) -> list[float]:
        """Kill the active one so often; gives the seconds of each time until the other answers."""
        self._post(next(bodies))
        gaps: list[float] = []
        for _ in range(rounds):
            self.replicas.append(self._replica())
            end = time.monotonic() + between
            while time.monotonic() < end:
                self._post(next(bodies))
            active = self.replicas.pop(0)
            active.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            self._post(next(bodies))
            gaps.append(time.monotonic() - killed)
            active.wait()
        return gaps

    def _post(self, body: bytes) -> None:
        """Post a batch until it is answered with 200."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.webhook}/audit/prod", data=body)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30):  # noqa: S310
                    self.answered += body.count(b'"auditID"')
                    return
            except OSError:
                time.sleep(PAUSE)

    def looked_at(self) -> int:
        """Give how many events the fold has looked at, once it has caught up."""
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=30) as answer:
                metrics = answer.read().decode()
            events = re.search(r'^redshank_events_total\{cluster="prod"\} (\S+)', metrics, re.MULTILINE)
            if "\nredshank_journal_waiting_entries 0.0" in metrics and events:
                return int(float(events[1]))
            time.sleep(PAUSE)

    def stop(self) -> None:
        """End them."""
        for replica in self.replicas:
            replica.terminate()
            replica.wait()


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
