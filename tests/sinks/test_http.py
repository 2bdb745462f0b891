"""The HTTP sink: bodies, headers and signatures."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import ValidationError

from detector.finding import Alert
from detector.sinks.base import Failure
from detector.sinks.http import HttpSettings
from tests.report.making import START
from tests.sinks.doubles import FakeClock, alert
from tests.sinks.server import Server


async def taken(request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(status=400) if b"poison" in body else web.Response(status=202)


def post(alerts: Sequence[Alert], **options: Any) -> tuple[list[tuple[web.Request, bytes]], list[Failure]]:
    async def main() -> list[Failure]:
        await server.start()
        sink = HttpSettings(name="a", url=f"{server.url}/in?x=1", **options).open(FakeClock())
        failures = await sink.send(alerts)
        await sink.close()
        await server.stop()
        return failures

    server = Server(taken)
    failures = asyncio.run(main())
    return server.requests, failures


def test_alerts_are_posted_as_an_array() -> None:
    (((request, body),), failures) = post([alert(0), alert(1)])
    assert (request.method, request.path_qs) == ("POST", "/in?x=1")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("redshank/")
    assert [one["id"] for one in orjson.loads(body)] == [alert(0).id, alert(1).id]
    assert failures == []


def test_alerts_are_posted_as_lines() -> None:
    (((request, body),), _) = post([alert(0), alert(1)], body="lines", encoding="ecs")
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert body.endswith(b"\n")
    assert [orjson.loads(line)["event"]["id"] for line in body.splitlines()] == [alert(0).id, alert(1).id]


def test_alerts_are_posted_one_by_one_as_falco_does() -> None:
    requests, failures = post([alert(0), alert(1, title="poison"), alert(2)], body="object", encoding="falco")
    assert [orjson.loads(body)["output_fields"]["redshank.id"] for _, body in requests] == [
        alert(number).id for number in range(3)
    ]
    assert [(failure.place, failure.permanent) for failure in failures] == [(1, True)]


def test_requests_are_signed_over_time_and_body() -> None:
    (((request, body),), _) = post([alert()], key="a key")
    timestamp = request.headers["X-Redshank-Timestamp"]
    assert timestamp == str(START // 1_000_000)
    expected = hmac.new(b"a key", timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert request.headers["X-Redshank-Signature"] == f"sha256={expected}"


def test_without_a_key_nothing_is_signed() -> None:
    (((request, _),), _) = post([alert()])
    assert not {"X-Redshank-Timestamp", "X-Redshank-Signature"} & set(request.headers)


def test_headers_are_filled_in_and_alerts_that_differ_in_them_go_apart() -> None:
    alerts = [alert(0, cluster="prod"), alert(1, cluster="test"), alert(2, cluster="prod")]
    requests, _ = post(
        alerts, headers={"X-Scope-OrgID": "{cluster}", "X-Level": "is {level}", "Authorization": "Bearer x"}
    )
    seen = {request.headers["X-Scope-OrgID"]: [one["id"] for one in orjson.loads(body)] for request, body in requests}
    assert seen == {"prod": [alert(0).id, alert(2).id], "test": [alert(1).id]}
    assert {request.headers["X-Level"] for request, _ in requests} == {"is high"}
    assert {request.headers["Authorization"] for request, _ in requests} == {"Bearer x"}


@pytest.mark.parametrize("cluster", ["a\r\nX-Evil: 1", "\x00", "clé", "\ud800", "x" * 100_000, "{level}", ""])
def test_no_name_of_a_cluster_can_break_a_header(cluster: str) -> None:
    (((request, _),), failures) = post([alert(cluster=cluster)], headers={"X-Cluster": "c-{cluster}"})
    assert failures == []
    assert "X-Evil" not in request.headers
    value = request.headers["X-Cluster"]
    assert value.isascii()
    assert value.isprintable()
    assert len(value) <= 300
    assert value.startswith("c-")
    assert "{level}" in value or cluster != "{level}", "what was filled in is not filled in again"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "{title}"},
        {"X-A": "{cluster.__class__}"},
        {"X-A": "a\nb"},
        {"X-A": "clé"},
        {"X A": "b"},
        {"": "b"},
        {"Content-Type": "text/plain"},
        {"x-redshank-signature": "sha256=0"},
        {"Host": "elsewhere"},
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="headers"):
        HttpSettings(name="a", url="https://a", headers=headers)


def test_values_of_headers_are_secrets() -> None:
    sent = "Basic " + base64.b64encode(b"jane:hunter22").decode()
    settings = HttpSettings(name="a", url="https://a", headers={"Authorization": sent})
    assert sent not in repr(settings) + settings.model_dump_json()
    assert settings.scrub(f"you sent {sent}") == "you sent [redacted]"
