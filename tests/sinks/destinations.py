"""A destination for every sink: it takes and answers what its documentation says, and can misbehave."""

from __future__ import annotations

import asyncio
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from aiohttp import web

from detector.sinks import stdout
from detector.sinks.alertmanager import AlertmanagerSettings
from detector.sinks.elasticsearch import ElasticsearchSettings
from detector.sinks.file import FileSettings
from detector.sinks.http import HttpSettings
from detector.sinks.settings import SinkSettings
from detector.sinks.slack import SlackSettings
from detector.sinks.splunk import SplunkSettings
from detector.sinks.stdout import StdoutSettings
from detector.sinks.syslog import SyslogSettings
from detector.sinks.teams import TeamsSettings
from tests.sinks.server import FAULTS, Server, answer

ID = re.compile(r"\b[0-9a-f]{32}\b")
SECRET = "s3cr3t-do-not-tell"


class Destination(ABC):
    """Where a sink sends to."""

    settings: ClassVar[type[SinkSettings]]
    faults: ClassVar[tuple[str, ...]] = ()
    """How it can misbehave."""
    refuses: ClassVar[bool] = True
    """Whether it can say that it does not want an alert."""
    repeats: ClassVar[bool] = False
    """Whether it is sent alerts again and again."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.got: list[str] = []
        """Ids of alerts, in the order in which they came."""
        self.poison: set[str] = set()
        """Ids of alerts it refuses."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Give the settings of a sink that sends here."""

    @abstractmethod
    async def start(self, faults: Iterable[str] = ()) -> None:
        """Be there, first with some faults."""

    @abstractmethod
    async def stop(self) -> None:
        """Be gone."""

    def configured(self, **options: Any) -> SinkSettings:
        """Give the settings of a sink that sends here."""
        return self.settings(**{"name": "a", "timeout": "1s", **self.options(), **options})


class HttpDestination(Destination):
    """A server of HTTP."""

    faults: ClassVar[tuple[str, ...]] = FAULTS

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.server = Server(self.handle)

    @abstractmethod
    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Answer as the real one does."""

    async def start(self, faults: Iterable[str] = ()) -> None:
        await self.server.start(faults)

    async def stop(self) -> None:
        await self.server.stop()


class AnyServer(HttpDestination):
    settings = HttpSettings
    faults = tuple(fault for fault in FAULTS if fault not in {"garbage", "empty", "html"})
    """Any answer 200 is a yes to a sink that cannot know what the server says."""

    def options(self) -> dict[str, Any]:
        return {"url": f"{self.server.url}/in/{SECRET}?k={SECRET}", "key": SECRET, "headers": {"X-Key": SECRET}}

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        ids = [record["id"] for record in orjson.loads(body)]
        if self.poison & set(ids):
            return web.Response(status=400, text="no")
        self.got += ids
        return web.Response(status=204)


class Elastic(HttpDestination):
    settings = ElasticsearchSettings

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.templates: dict[str, Any] = {}
        self.documents: dict[str, tuple[int, dict[str, Any]]] = {}
        self.forbids = False

    def options(self) -> dict[str, Any]:
        return {"url": self.server.url, "api_key": SECRET}

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.path.startswith("/_index_template/"):
            return self._template(request, body)
        lines = [orjson.loads(line) for line in body.splitlines()]
        items = [
            self._index(action["index"], document) for action, document in zip(lines[::2], lines[1::2], strict=True)
        ]
        return answer({"errors": any("error" in item["index"] for item in items), "items": items})

    def _template(self, request: web.Request, body: bytes) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        if self.forbids:
            return answer({"error": {"type": "security_exception"}, "status": 403}, 403)
        if request.method == "PUT":
            self.templates[name] = orjson.loads(body)
            return answer({"acknowledged": True})
        if name not in self.templates:
            return answer({"error": {"type": "resource_not_found_exception"}, "status": 404}, 404)
        return answer({"index_templates": [{"name": name, "index_template": self.templates[name]}]})

    def _index(self, action: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        assert action["version_type"] == "external"
        id_, version = action["_id"], action["version"]
        if id_ in self.poison:
            error = {"type": "document_parsing_exception", "reason": "failed to parse field"}
            return {"index": {"status": 400, "error": error}}
        known, _ = self.documents.get(id_, (-1, {}))
        if known >= version:
            return {"index": {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "old"}}}
        self.documents[id_] = version, document
        self.got.append(id_)
        return {"index": {"status": 201 if known < 0 else 200}}


class Hec(HttpDestination):
    settings = SplunkSettings
    waits: ClassVar[int] = 3
    """Questions before a request is acknowledged."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.asked: list[int] = []
        self.acknowledges = True

    def options(self) -> dict[str, Any]:
        return {"url": self.server.url, "token": SECRET}

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers["Authorization"] != f"Splunk {SECRET}":
            return answer({"text": "Invalid token", "code": 4}, 403)
        if not request.headers.get("X-Splunk-Request-Channel"):
            return answer({"text": "Data channel is missing", "code": 10}, 400)
        if request.path == "/services/collector/ack":
            return self._ack(orjson.loads(body)["acks"])
        assert request.path == "/services/collector/event"
        ids = [orjson.loads(line)["event"]["id"] for line in body.splitlines()]
        if self.poison & set(ids):
            return answer({"text": "Invalid data format", "code": 6, "invalid-event-number": 0}, 400)
        self.got += ids
        return answer({"text": "Success", "code": 0, **({"ackId": len(self.got)} if self.acknowledges else {})})

    def _ack(self, numbers: list[int]) -> web.StreamResponse:
        self.asked += numbers
        return answer({"acks": {str(number): self.asked.count(number) >= self.waits for number in numbers}})


class AlertManager(HttpDestination):
    settings = AlertmanagerSettings
    repeats = True

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.posted: list[dict[str, Any]] = []

    faults = tuple(fault for fault in FAULTS if fault not in {"garbage", "empty", "html"})
    """Alertmanager answers 200 with nothing."""

    def options(self) -> dict[str, Any]:
        return {"urls": [self.server.url], "token": SECRET}

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        assert request.path == "/api/v2/alerts"
        bad = []
        for record in orjson.loads(body):
            assert record["labels"]["alertname"]
            if record["labels"]["alert_id"] in self.poison or record["endsAt"] < record["startsAt"]:
                bad.append(record)
            else:
                self.posted.append(record)
                self.got.append(record["labels"]["alert_id"])
        return answer("start time must be before end time", 400) if bad else web.Response()


class Channel(HttpDestination):
    """A channel of people, with one message for each alert."""

    taken: ClassVar[str] = ""

    def options(self) -> dict[str, Any]:
        return {"url": f"{self.server.url}/services/T0/B0/{SECRET}"}

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        (id_,) = set(ID.findall(body.decode()))
        if id_ in self.poison:
            return web.Response(status=400, text="invalid_blocks")
        self.got.append(id_)
        return web.Response(text=self.taken)


class SlackChannel(Channel):
    settings = SlackSettings
    taken = "ok"


class TeamsChannel(Channel):
    settings = TeamsSettings
    faults = tuple(fault for fault in FAULTS if fault not in {"garbage", "empty", "html"})
    """Workflows answers 202 with nothing."""


class Syslogd(Destination):
    settings = SyslogSettings
    faults = ("garbage",)
    refuses = False

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.port, self.frames = 0, list[bytes]()
        self._faults: list[str] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def options(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port or 1, "protocol": "tcp"}

    async def start(self, faults: Iterable[str] = ()) -> None:
        self._faults += faults
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        fault = self._faults.pop() if self._faults else ""
        if fault == "garbage":
            writer.write(b"\xff\x00 what?\r\n" * 10_000)
        try:
            while True:
                length = int(await reader.readuntil(b" "))
                frame = await reader.readexactly(length)
                self.frames.append(frame)
                self.got += ID.findall(frame.decode())[:1]
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


class Pipe(Destination):
    settings = StdoutSettings
    refuses = False

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.read, self.write = -1, -1
        patch.setattr(stdout, "STDOUT", -1)
        self.data = bytearray()

    def options(self) -> dict[str, Any]:
        return {}

    async def start(self, faults: Iterable[str] = ()) -> None:
        self.read, self.write = os.pipe()
        self.patch.setattr(stdout, "STDOUT", self.write)
        os.set_blocking(self.read, False)
        asyncio.get_running_loop().add_reader(self.read, self._take)

    def _take(self) -> None:
        self.data += os.read(self.read, 1 << 16)
        *whole, _ = bytes(self.data).split(b"\n")
        self.got = [orjson.loads(line)["id"] for line in whole if line]

    async def stop(self) -> None:
        if self.read >= 0:
            asyncio.get_running_loop().remove_reader(self.read)
            os.close(self.read)
            os.close(self.write)
            self.read = -1


class JsonLines(Destination):
    settings = FileSettings
    refuses = False

    def options(self) -> dict[str, Any]:
        return {"path": self.folder / "out" / "alerts.jsonl"}

    async def start(self, faults: Iterable[str] = ()) -> None:
        (self.folder / "out").mkdir()

    async def stop(self) -> None:
        if not self.got:
            (self.folder / "out").rmdir()

    @property
    def got(self) -> list[str]:
        path = self.folder / "out" / "alerts.jsonl"
        return [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()] if path.exists() else []

    @got.setter
    def got(self, value: list[str]) -> None:
        pass


DESTINATIONS: dict[type[SinkSettings], type[Destination]] = {
    one.settings: one
    for one in (AnyServer, Elastic, Hec, AlertManager, SlackChannel, TeamsChannel, Syslogd, Pipe, JsonLines)
}
