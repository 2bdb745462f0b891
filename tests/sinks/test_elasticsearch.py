"""Elasticsearch: versions, answers for single documents, the index template."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from detector.encodings import ecs
from detector.finding import Alert
from detector.sinks import elasticsearch
from detector.sinks.base import Failure, RetryError, Sink
from tests.sinks.destinations import SECRET, Elastic
from tests.sinks.doubles import FakeClock, alert, messages
from tests.sinks.server import Server, answer

TEMPLATE = orjson.loads((files("detector.sinks") / "data/elasticsearch-template.json").read_bytes())


@pytest.fixture
def elastic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elastic:
    return Elastic(tmp_path, monkeypatch)


def use(elastic: Elastic, work: Callable[[Sink], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        await elastic.start()
        sink = elastic.configured(**options).open(FakeClock())
        try:
            return await work(sink)
        finally:
            await sink.close()
            await elastic.stop()

    return asyncio.run(main())


def index(elastic: Elastic, *batches: Sequence[Alert], **options: Any) -> list[list[Failure]]:
    async def work(sink: Sink) -> list[list[Failure]]:
        return [await sink.send(batch) for batch in batches]

    failures: list[list[Failure]] = use(elastic, work, **options)
    return failures


def test_a_document_is_the_alert_in_ecs_under_its_id(elastic: Elastic) -> None:
    assert index(elastic, [alert(0, revision=3)]) == [[]]
    assert elastic.documents == {alert(0).id: (3, ecs.encode(alert(0, revision=3)))}


def test_twice_is_once_and_an_old_revision_replaces_nothing(elastic: Elastic) -> None:
    batches = [[alert(0, revision=number, count=number)] for number in (2, 2, 1, 3, 2)]
    assert index(elastic, *batches) == [[]] * 5
    ((version, document),) = elastic.documents.values()
    assert (version, document["redshank"]["alert"]["count"]) == (3, 3)


def test_the_index_template_is_installed_once(elastic: Elastic) -> None:
    index(elastic, [alert(0)], [alert(1)], index="alerts-k8s")
    assert elastic.templates == {"alerts-k8s": {**TEMPLATE, "index_patterns": ["alerts-k8s"]}}
    asked = [request.method for request, _ in elastic.server.requests if "_index_template" in request.path]
    assert asked == ["GET", "PUT"]


@pytest.mark.parametrize(("version", "replaced"), [(0, True), (1, False), (99, False), (None, True)])
def test_an_older_template_is_replaced_and_a_newer_one_left(
    elastic: Elastic, version: int | None, replaced: bool
) -> None:
    elastic.templates["redshank-alerts"] = {} if version is None else {"version": version}
    index(elastic, [alert(0)])
    assert (elastic.templates["redshank-alerts"].get("version") == TEMPLATE["version"] and version != 1) is replaced


def test_a_server_that_forbids_templates_is_used_as_it_is(elastic: Elastic, caplog: pytest.LogCaptureFixture) -> None:
    elastic.forbids = True
    assert index(elastic, [alert(0)], [alert(1)]) == [[], []]
    assert len(elastic.documents) == 2
    assert messages(caplog).count("no index template: answered 403") == 1


def test_templates_can_be_left_to_others(elastic: Elastic) -> None:
    index(elastic, [alert(0)], template=False)
    assert elastic.templates == {}
    assert all(request.path == "/_bulk" for request, _ in elastic.server.requests)


def test_the_template_fits_the_documents() -> None:
    """Every field with a mapping of its own is one that documents have."""

    def named(properties: dict[str, Any], above: str = "") -> set[str]:
        found = set()
        for name, one in properties.items():
            found |= named(one["properties"], f"{above}{name}.") if "properties" in one else {f"{above}{name}"}
        return found

    def has(document: Any, path: str) -> bool:
        for key in path.split("."):
            document = document.get(key) if isinstance(document, dict) else None
        return document is not None

    whole = alert(0)
    assert whole.rule.falsepositives
    rule = {"description": "what it is about"}
    document = ecs.encode(alert(0, rule=type(whole.rule)(**{**_attributes(whole.rule), **rule})))
    assert [
        path for path in sorted(named(TEMPLATE["template"]["mappings"]["properties"])) if not has(document, path)
    ] == []


def _attributes(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def bulk(items: Any, *, status: int = 200) -> tuple[list[Failure], list[bytes]]:
    """Send three alerts to a server that answers so."""

    async def handle(request: web.Request, body: bytes) -> web.StreamResponse:
        return answer({"errors": True, "items": items}, status)

    async def main() -> list[Failure]:
        await server.start()
        settings = elasticsearch.ElasticsearchSettings(name="a", url=server.url, template=False)
        sink = settings.open(FakeClock())
        try:
            return await sink.send([alert(number) for number in range(3)])
        finally:
            await sink.close()
            await server.stop()

    server = Server(handle)
    failures = asyncio.run(main())
    return failures, [body for _, body in server.requests]


def item(status: int, **error: str) -> dict[str, Any]:
    return {"index": {"status": status, **({"error": error} if error else {})}}


def test_documents_have_their_own_fates() -> None:
    busy = item(429, type="es_rejected_execution_exception", reason="queue full")
    bad = item(400, type="document_parsing_exception", reason="not a date")
    failures, _ = bulk([busy, item(201), bad])
    assert [(one.place, one.permanent) for one in failures] == [(0, False), (2, True)]
    assert failures[0].reason == "answered 429 for this document: es_rejected_execution_exception: queue full"


def test_when_no_document_is_taken_for_now_the_server_is_left_alone() -> None:
    with pytest.raises(RetryError, match="queue full"):
        bulk([item(429, type="es_rejected_execution_exception", reason="queue full")] * 3)


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_what_an_operator_can_put_right_is_not_given_up(status: int) -> None:
    failures, _ = bulk([item(201), item(status, type="cluster_block_exception", reason="disk"), item(200)])
    assert [(one.place, one.permanent) for one in failures] == [(1, False)]


@pytest.mark.parametrize(
    "items",
    [[], None, [item(201)] * 2, [item(201)] * 4, [1, 2, 3], [{"index": {}}] * 3, [{"create": {"status": 201}}] * 3],
)
def test_an_answer_that_does_not_speak_of_each_document_is_no_yes(items: Any) -> None:
    with pytest.raises(RetryError, match="not the answer of such a server"):
        bulk(items)


def test_a_request_that_is_too_large_is_sent_in_halves(elastic: Elastic) -> None:
    assert asyncio.run(_too_large(elastic, 8)) == [Failure(5, "answered 413: too large", permanent=True)]
    assert len(elastic.documents) == 7


async def _too_large(elastic: Elastic, count: int) -> list[Failure]:
    async def handle(request: web.Request, body: bytes) -> web.StreamResponse:
        if alert(5).id.encode() in body:
            return web.Response(status=413, text="too large")
        return await elastic.handle(request, body)

    server = Server(handle)
    await server.start()
    sink = elasticsearch.ElasticsearchSettings(name="a", url=server.url, template=False).open(FakeClock())
    try:
        return await sink.send([alert(number) for number in range(count)])
    finally:
        await sink.close()
        await server.stop()


def test_many_large_documents_go_in_several_requests(elastic: Elastic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch, "LARGEST", 5000)
    assert index(elastic, [alert(number) for number in range(20)], template=False) == [[]]
    assert len(elastic.documents) == 20
    sizes = [len(body) for _, body in elastic.server.requests]
    assert len(sizes) > 5
    assert max(sizes) <= 5000


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"api_key": "abc="}, "ApiKey abc="),
        ({"api_key": None, "username": "jane", "password": "hunter22"}, "Basic amFuZTpodW50ZXIyMg=="),
        ({"api_key": None}, None),
    ],
)
def test_the_server_is_told_who_we_are(elastic: Elastic, options: dict[str, Any], header: str | None) -> None:
    index(elastic, [alert(0)], **options)
    assert {request.headers.get("Authorization") for request, _ in elastic.server.requests} == {header}


def test_a_server_that_is_down_is_not_taken_for_one_without_a_template(
    elastic: Elastic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def work(sink: Sink) -> None:
        elastic.server.faults.append("503")
        with pytest.raises(RetryError):
            await sink.send([alert(0)])
        assert await sink.send([alert(0)]) == []

    use(elastic, work)
    assert "redshank-alerts" in elastic.templates
    assert SECRET not in messages(caplog)
