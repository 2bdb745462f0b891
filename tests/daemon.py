"""A real daemon for tests: the binary, its settings, a client that posts as an API server does, and a receiver."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from detector.entries import JournalSource
from detector.finding import Alert
from detector.formats import Batch
from detector.store import alerts as table
from detector.store.alerts import Wanted
from detector.store.migrate import open_for_reading
from detector.store.tables import STATE

ROOT = Path(__file__).resolve().parent.parent
ATTACK = ROOT / "sample_logs" / "attack.jsonl.gz"
PATIENCE = 60.0
"""Seconds after which a test gives up waiting; what is waited for takes a second or so."""


def wait_for(what: Callable[[], Any], told: str = "it", patience: float = PATIENCE) -> Any:
    """Wait until something is true, and give it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {patience:g} s in vain for {told}")


def recorded() -> list[bytes]:
    """Give the events of the attack that ships as a sample, as lines of JSON."""
    return gzip.decompress(ATTACK.read_bytes()).splitlines()


def bodies(lines: Iterable[bytes], size: int = 100) -> list[bytes]:
    """Put events into the bodies an API server would send."""
    lines = list(lines)
    chunks = (lines[start : start + size] for start in range(0, len(lines), size))
    return [
        b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b]}\n' % b",".join(chunk)
        for chunk in chunks
    ]


class Receiver:
    """An HTTP server that takes alerts, remembers them, and misbehaves when told to."""

    def __init__(self) -> None:
        self.revisions: dict[str, list[int]] = {}
        self.alerts: dict[str, dict[str, Any]] = {}
        """The newest revision of each, by id."""
        self.requests = 0
        self.behaviour: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False
        """Called before a request is taken; when it gives True, it has answered (or not) by itself."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.requests += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.behaviour(self):
                    return
                receiver.take(orjson.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def take(self, alerts: list[dict[str, Any]]) -> None:
        for alert in alerts:
            self.revisions.setdefault(alert["id"], []).append(alert["revision"])
            known = self.alerts.get(alert["id"])
            if known is None or known["revision"] <= alert["revision"]:
                self.alerts[alert["id"]] = alert

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Daemon:
    """``redshank serve`` on ports of its own, with a folder for its settings, its data and its output."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.data = folder, folder / "data"
        self.config = folder / "redshank.yaml"
        self.settings: dict[str, Any] = {
            "data_dir": str(self.data),
            "webhook": {"listen": "127.0.0.1:0"},
            "web": {"listen": "127.0.0.1:0"},
            "store": {"snapshot_every": "1s"},
            "log": {"format": "json"},
            **settings,
        }
        self.environment: dict[str, str] = {}
        self.log: list[dict[str, Any]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.port = self.web_port = 0

    def start(self) -> Daemon:
        """Start it, and wait until it listens."""
        self.launch()
        self.listening()
        return self

    def listening(self) -> None:
        """Wait until it listens."""
        heard = self._await("takes audit events at")
        self.port = urlsplit(heard.split(" at ")[1]).port or 0
        self.web_port = urlsplit(self._await("health and metrics").split("metrics: ")[1]).port or 0

    def launch(self, *flags: str) -> None:
        """Start it without waiting."""
        self.config.write_text(yaml.safe_dump(self.settings))
        self.log.clear()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with (self.folder / "stdout").open("ab") as printed:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "redshank"), "serve", "--config", str(self.config), *flags],
                stdout=printed,
                stderr=subprocess.PIPE,
                env={**os.environ, **self.environment},
                cwd=self.folder,
            )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with suppress(json.JSONDecodeError):
                self.log.append(json.loads(line))
                continue
            self.log.append({"message": line.decode(errors="replace").rstrip(), "level": "raw"})

    def _await(self, text: str) -> str:
        def found() -> str:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.said()}")
            return self.said(text)

        heard: str = wait_for(found, f"{text!r} in the log")
        return heard

    def said(self, text: str = "") -> str:
        """Give the first line of the log with a text in it, or all of the log."""
        if text:
            return next((line["message"] for line in list(self.log) if text in line["message"]), "")
        return "\n".join(str(line) for line in self.log)

    def wait_said(self, text: str) -> str:
        """Wait for a line of the log."""
        heard: str = wait_for(lambda: self.said(text), f"{text!r} in the log")
        return heard

    def post(self, body: bytes, cluster: str = "prod", timeout: float = 30.0) -> int:
        """Post one body; gives the status, 0 when the connection broke."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            try:
                connection.request("POST", f"/audit/{cluster}?timeout=30s", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                return response.status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return 0

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask its pages."""
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def admin(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask its API through the Unix socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(30)
            sock.connect(str(self.data / "admin.sock"))
            connection = http.client.HTTPConnection("localhost")
            connection.sock = sock
            connection.request(method, path, None if body is None else orjson.dumps(body))
            response = connection.getresponse()
            return response.status, orjson.loads(response.read())

    @property
    def fold_pid(self) -> int | None:
        """The process id of the fold, None while there is none."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError, ValueError, IndexError):
            return int(children.read_text().split()[0])
        return None

    def kill(self) -> None:
        """End it as the out-of-memory killer would, and wait until its fold is gone too."""
        assert self.process is not None
        self.process.kill()
        self.gone()

    def gone(self) -> int:
        """Wait until it has ended; gives the exit code."""
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def end(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self.process is not None and self.process.stderr is not None and not self.process.stderr.closed:
            self.kill()

    def stop(self) -> int:
        """End it in order; gives the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.gone()

    def metric(self, name: str) -> float:
        """Give the value of a metric, by its name and labels; 0 where there is none."""
        lines = self.get("/metrics")[1].decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def settled(self) -> None:
        """Wait until all that was accepted is folded, stored and delivered."""

        def quiet() -> bool:
            metrics = self.get("/metrics")[1].decode()
            values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
            waiting = [value for name, value in values.items() if name.startswith("redshank_outbox_alerts")]
            return float(values["redshank_journal_waiting_entries"]) == 0 and all(float(one) == 0 for one in waiting)

        wait_for(quiet, "quiet", 5 * PATIENCE)  # there may be much to fold

    def stored(self) -> dict[str, Alert]:
        """Give the alerts in the state, by id."""
        connection = open_for_reading(self.data / "state.db", STATE)
        try:
            return {one.alert.id: one.alert for one in table.find(connection, Wanted(), 100_000)}
        finally:
            connection.close()

    def oracle(self) -> dict[str, Alert]:
        """Give the alerts that folding the journal in one go makes, by id, in their newest revisions."""
        return {alert.id: alert for alert in self._folded()}

    def wanted(self) -> dict[str, set[int]]:
        """Give the revisions that a sink which appends is to hear of, by id."""
        wanted: dict[str, set[int]] = {}
        for alert in self._folded():
            if alert.change in {"opened", "raised", "closed"}:
                wanted.setdefault(alert.id, set()).add(alert.revision)
        return wanted

    def _folded(self) -> Iterator[Alert]:
        source = JournalSource(self.data)
        for record in source:
            yield from source.fold.fold(record).alerts


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Daemon]:
    """Run a daemon; whatever becomes of the test, nothing is left running."""
    daemon = Daemon(folder, **settings)
    try:
        yield daemon.start()
    finally:
        daemon.end()


def http_sink(receiver: Receiver, **more: Any) -> dict[str, Any]:
    """Give the settings of a sink that posts every alert to a receiver."""
    return {"name": "siem", "type": "http", "url": receiver.url, "min_level": "informational", "closed": True, **more}


class Sender:
    """Posts bodies one after the other, each until it is answered with 200, as an API server with much patience."""

    def __init__(self, daemon: Daemon, size: int = 40) -> None:
        self.daemon = daemon
        self.sent: list[bytes] = []
        """Bodies that were answered with 200."""
        self.answers: set[int] = set()
        """Every status there was; 0 for broken connections."""
        self._bodies = _endless(size)
        self._pausing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Post from now on."""
        self._pausing.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Post no more; the body under way comes again after `begin`."""
        self._pausing.set()
        if self._thread is not None:
            self._thread.join()

    def _post(self, body: bytes) -> int:
        status = self.daemon.post(body, timeout=10)
        self.answers.add(status)
        return status

    def _run(self) -> None:
        for body in self._bodies:
            while self._post(body) != 200:
                if self._pausing.wait(0.02):
                    self._bodies = _first(body, self._bodies)
                    return
            self.sent.append(body)
            if self._pausing.is_set():
                return


def _first(body: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield body
    yield from rest


def _endless(size: int) -> Iterator[bytes]:
    """Give bodies for ever: the sample again and again, each time with ids and times of its own."""
    for again in range(1_000):
        for body in bodies(recorded(), size):
            moved = re.sub(rb'"auditID":"', b'"auditID":"%d-' % again, body)
            yield re.sub(rb"T(\d\d):(\d\d):", rb"T%02d:\2:" % (again % 24), moved)


def fingerprints(batch: object) -> list[str]:
    return [event.fingerprint for event in batch.events] if isinstance(batch, Batch) else []
