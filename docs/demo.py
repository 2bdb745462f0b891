"""``make demo``, second half: the daemon takes the recorded attack over HTTP, as an API server would send it."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, urlsplit

ROOT = Path(__file__).resolve().parent.parent
REDSHANK = Path(sys.executable).parent / "redshank"
BATCH = 400
"""Events in one request: what a kube-apiserver sends at most by default."""
LISTENING, HEALTH = "takes audit events at ", "health and metrics: "
PATIENCE = 60


def main() -> int:
    """Run the demonstration; gives an exit code."""
    lines = gzip.decompress((ROOT / "sample_logs" / "attack.jsonl.gz").read_bytes()).splitlines()
    with tempfile.TemporaryDirectory(prefix="redshank-demo-") as folder:
        serve = [str(REDSHANK), "serve", "--data-dir", folder, "--listen", "127.0.0.1:0"]
        settings = {"REDSHANK_WEB__LISTEN": "127.0.0.1:0", "REDSHANK_LOG__FORMAT": "json", "REDSHANK_SINKS": "[]"}
        say(f"$ redshank serve --data-dir {folder}")
        with subprocess.Popen(serve, stderr=subprocess.PIPE, env=settings) as daemon:
            try:
                log = daemon.stderr or sys.stdin.buffer
                address, web = heard(log, LISTENING), heard(log, HEALTH)
                threading.Thread(target=log.read, daemon=True).start()
                took = post(urlsplit(address), lines)
                settle(urlsplit(web))
                say(f"{len(lines)} events posted to {address} and answered with 200 in {took:.1f} s")
                say("\n$ redshank alerts list --level high --limit 12")
                listed = [str(REDSHANK), "alerts", "list", "--data-dir", folder, "--level", "high", "--limit", "12"]
                return subprocess.run(listed, check=False).returncode
            finally:
                daemon.terminate()


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def heard(log: IO[bytes], wanted: str) -> str:
    """Read the daemon's log up to a line with a text; gives what stands behind it."""
    for line in log:
        try:
            message = str(json.loads(line)["message"])
        except ValueError:
            sys.exit(line.decode().rstrip())
        if wanted in message:
            return message.split(wanted)[1]
    sys.exit("the daemon did not start")


def post(address: SplitResult, lines: list[bytes]) -> float:
    """Post events in batches; gives the seconds it took."""
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    begun = time.monotonic()
    for start in range(0, len(lines), BATCH):
        items = b",".join(lines[start : start + BATCH])
        body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[' + items + b"]}\n"
        connection.request("POST", "/audit/demo?timeout=30s", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            sys.exit(f"the daemon answered {response.status}: {response.read().decode()}")
        response.read()
    connection.close()
    return time.monotonic() - begun


def settle(web: SplitResult) -> None:
    """Wait until everything accepted is folded."""
    connection = http.client.HTTPConnection(web.hostname or "", web.port)
    for _ in range(PATIENCE * 10):
        connection.request("GET", "/metrics")
        if b"redshank_journal_waiting_entries 0.0" in connection.getresponse().read():
            break
        time.sleep(0.1)
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
