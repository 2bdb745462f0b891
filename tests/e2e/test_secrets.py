"""Secrets stay home: planted wherever there is a place for one, they are nowhere on the disk and at no destination."""

from __future__ import annotations

import io
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
import zstandard

from detector.redaction import BLANK
from detector.sinks import SINKS
from tests.daemon import Daemon, bodies, running, wait_for
from tests.redaction.test_carriers import CARRIERS
from tests.redaction.test_carriers import PLANTED as CARRIED
from tests.redaction.test_redaction import PLACES
from tests.redaction.test_redaction import PLANTED as SAID
from tests.support import raw, rule

OWN = "hunter2-own-path"
PATHS = ["requestObject.spec.containers.env.value", "annotations.example.com/pin", "responseObject.data.*"]
OWN_PLACES: list[dict[str, Any]] = [
    {"requestObject": {"spec": {"containers": [{"env": [{"name": "A", "value": OWN}]}]}}},
    {"requestObject": [{"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "A", "value": OWN}}]},
    {"annotations": {"example.com/pin": OWN}},
    {"responseObject": {"kind": "ConfigMap", "data": {"pin.txt": OWN}}},
]
MARKS = [mark.encode() for mark in (CARRIED, SAID, OWN)]
ALERTS = rule("Everything", {"sel": {"stage": "ResponseComplete"}, "condition": "sel"}, level="critical")
NAMING = rule(
    "Names what it saw",
    {
        "agent": {"userAgent|contains": "hunter2"},
        "uri": {"requestURI|contains": "hunter2"},
        "user": {"user.username|contains": "hunter2"},
        "body": {"requestObject.spec.command|contains": "hunter2"},
        "condition": "1 of *",
    },
    level="critical",
)


def lines() -> Iterator[bytes]:
    """Give an event, each of a user of its own, for every place a secret can be in."""
    for number, place in enumerate(PLACES):
        yield raw(number, **{"user": {"username": f"places-{number}"}, **place})
    for number, (_, resource, body) in enumerate(CARRIERS):
        for attribute in ("requestObject", "responseObject"):
            about = {"objectRef": {"resource": resource, "name": "db"}, attribute: body}
            yield raw(number, user={"username": f"{attribute}-{number}"}, **about)
    for number, place in enumerate(OWN_PLACES):
        yield raw(number, user={"username": f"own-{number}"}, objectRef={"resource": "pods"}, **place)


class Listener:
    """Takes whatever is sent to it, by HTTP, TCP or UDP, keeps it, and says yes in the words of every destination."""

    def __init__(self) -> None:
        self.got: dict[str, list[bytes]] = {}
        listener = self

        class Http(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = self.path.split("/")[1].partition("?")[0]
                listener.take(kind, self.path.encode() + str(self.headers).encode() + body)
                said = listener.answer(self.path, body)
                self.send_response(400 if kind == "refusing" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_PUT = do_POST  # noqa: N815 -- the names of http.server

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                listener.take("syslog", self.request[0])

        self._servers: list[Any] = [
            ThreadingHTTPServer(("127.0.0.1", 0), Http),
            socketserver.UDPServer(("127.0.0.1", 0), Udp),
        ]
        self.http, self.udp = (server.server_address[1] for server in self._servers)
        self._servers[1].max_packet_size = 1 << 16
        self._threads = [threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True) for one in self._servers]
        for thread in self._threads:
            thread.start()

    def take(self, kind: str, data: bytes) -> None:
        self.got.setdefault(kind, []).append(data)

    @staticmethod
    def answer(path: str, body: bytes) -> bytes:
        if path.endswith("/_bulk"):
            items = [{"index": {"status": 201}} for _ in body.splitlines()[::2]]
            return orjson.dumps({"errors": False, "items": items})
        if path.endswith("/ack") or "/ack?" in path:
            return orjson.dumps({"acks": {str(one): True for one in orjson.loads(body)["acks"]}})
        if path.startswith("/slack"):
            return b"ok"
        return orjson.dumps({"text": "Success", "code": 0, "ackId": 1, "index_templates": [], "acknowledged": True})

    def close(self) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.close()


def sinks(listener: Listener, folder: Path) -> list[dict[str, Any]]:
    """Give the settings of a sink of every kind, and of one that never says yes."""
    at = f"http://127.0.0.1:{listener.http}"
    fast = {"rate": 100, "batch_size": 10}
    return [
        {"type": "stdout", "encoding": "ocsf"},
        {"type": "file", "path": str(folder / "alerts.jsonl")},
        {"type": "http", "url": f"{at}/http"},
        {"type": "http", "name": "refusing", "url": f"{at}/refusing", "encoding": "falco"},
        {"type": "elasticsearch", "url": f"{at}/elasticsearch"},
        {"type": "splunk", "url": f"{at}/splunk", "token": "t"},
        {"type": "alertmanager", "urls": [f"{at}/alertmanager"]},
        {"type": "slack", "url": f"{at}/slack", **fast},
        {"type": "teams", "url": f"{at}/teams", **fast},
        {"type": "syslog", "host": "127.0.0.1", "port": listener.udp, "protocol": "udp"},
    ]


def named(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": one["type"], "min_level": "informational", **one} for one in settings]


def on_disk(data: Path) -> Iterator[tuple[str, bytes]]:
    """Give all that lies under a folder: files as they are, what databases hold, and what is compressed in them."""
    for path in data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield str(path), content
            yield f"{path} unpacked", unpacked(content)
        if path.suffix == ".db":
            for place, cell in cells(path):
                yield place, cell
                yield f"{place} unpacked", unpacked(cell)


def cells(path: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 -- a name of a table of ours
                for cell in row:
                    yield f"{path} {table}", cell if isinstance(cell, bytes) else str(cell).encode()


def unpacked(content: bytes) -> bytes:
    """Give what a zstd frame holds that begins anywhere in some bytes."""
    at = content.find(b"\x28\xb5\x2f\xfd")  # RFC 8878
    if at < 0:
        return b""
    try:
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content[at:])).read(1 << 26)
    except zstandard.ZstdError:
        return b""


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[Daemon, Listener]]:
    mine = tmp_path / "mine.yml"
    mine.write_text(yaml.safe_dump_all([ALERTS, NAMING]))
    with listening() as listener:
        settings = {
            "sinks": named(sinks(listener, tmp_path)),
            "rules": {"paths": [str(mine)], "packs": ["core", "extended", "hunting"]},
            "redaction": {"paths": PATHS},
            "log": {"format": "json", "level": "debug"},
        }
        with running(tmp_path, **settings) as daemon:
            yield daemon, listener


def test_planted_secrets_are_nowhere_on_the_disk_and_at_no_destination(
    planted: tuple[Daemon, Listener], tmp_path: Path
) -> None:
    daemon, listener = planted
    sent = bodies(lines(), 20)
    assert all(any(mark in body for body in sent) for mark in MARKS)
    assert [daemon.post(body) for body in sent] == [200] * len(sent)
    assert daemon.post(b"not json " + MARKS[0]) == 400
    assert daemon.post(bodies([b'{"kind":"Pod","data":"%b"}' % MARKS[0], raw(999)])[0]) == 200
    wait_for(lambda: len(daemon.stored()) > len(OWN_PLACES) + len(PLACES) + len(CARRIERS), "alerts")
    wait_for(lambda: daemon.admin("GET", "/api/dead-letters?kind=delivery")[1]["dead_letters"], "dead letters")
    wait_for(lambda: list(daemon.data.glob("snapshots/*")), "a snapshot")
    over_http = {"http", "refusing", "elasticsearch", "splunk", "alertmanager", "slack", "teams", "syslog"}
    wait_for(lambda: over_http <= listener.got.keys(), f"all of {over_http}, not only {listener.got.keys()}")
    wait_for(lambda: all((tmp_path / one).stat().st_size for one in ("stdout", "alerts.jsonl")), "lines")
    running_disk = list(on_disk(daemon.data))
    listed = orjson.dumps(daemon.admin("GET", "/api/alerts?limit=1000"))
    daemon.stop()
    told = [(kind, data) for kind, several in listener.got.items() for data in several]
    told += [(name, (tmp_path / name).read_bytes()) for name in ("stdout", "alerts.jsonl")]
    told += [("log", daemon.said().encode()), ("api", listed)]
    everything = [*running_disk, *on_disk(daemon.data), *told]
    assert [place for place, data in everything for mark in MARKS if mark in data] == []
    for blanked in ("journal.db entries unpacked", "state.db", "stdout", "alerts.jsonl", "http", "slack"):
        assert any(BLANK.encode() in data for place, data in everything if place.endswith(blanked)), blanked
    assert {one.model_fields["type"].default for one in SINKS} <= {"stdout", "file", *over_http}
    assert [path for path in daemon.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []


def test_what_is_blanked_by_a_path_changes_with_the_settings(planted: tuple[Daemon, Listener]) -> None:
    daemon, _ = planted
    daemon.settings["redaction"] = {"paths": ["verb"]}
    daemon.config.write_text(yaml.safe_dump(daemon.settings))
    refused = daemon.wait_said("is refused, the old one goes on")
    assert "redaction.paths: 'verb' begins with none of" in refused
    daemon.settings["redaction"] = {"paths": ["userAgent"]}
    daemon.config.write_text(yaml.safe_dump(daemon.settings))
    daemon.wait_said("the configuration was read again")
    assert daemon.post(bodies([raw(1, userAgent=OWN)])[0]) == 200
    wait_for(daemon.stored, "an alert")
    daemon.stop()
    assert [place for place, data in on_disk(daemon.data) if OWN.encode() in data] == []


def test_settings_with_a_path_that_cannot_be_are_refused_with_words(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, redaction={"paths": ["requestObject"]})
    daemon.launch()
    assert daemon.gone() == 3
    assert "redaction.paths" in daemon.said("redaction.paths")
    with closing(socket.socket()):
        assert not daemon.data.exists()
