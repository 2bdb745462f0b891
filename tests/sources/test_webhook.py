"""The webhook as a kube-apiserver meets it: what is accepted, refused, put off; with real sockets and real TLS."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ConfigError
from detector.listen import Address, hash_token
from detector.sources.webhook import Answer, Refusal, Webhook, WebhookSettings
from tests.listen.talking import Authority, Client, Seen, client, request, run, until

ACCEPTED = Answer(200, "accepted")


class Taker:
    """Accepts, and remembers. `answer` may be another answer or an error."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes, str]] = []
        self.refused: list[Refusal] = []
        self.answer: Answer | Exception = ACCEPTED
        self.hold: asyncio.Event | None = None

    async def accept(self, cluster: str, body: bytes, peer: str) -> Answer:
        self.taken.append((cluster, body, peer))
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def posting(taker: Taker, **settings: Any) -> AsyncIterator[tuple[Webhook, Address, Seen]]:
    seen = Seen()
    whole = WebhookSettings.model_validate({"listen": "127.0.0.1:0", **settings})
    webhook = Webhook(whole, taker.accept, observer=seen, refused=taker.refused.append)
    await webhook.start()
    try:
        yield webhook, webhook.addresses[0], seen
    finally:
        await webhook.stop(5.0)
        assert webhook.bodies.memory.used == 0


@asynccontextmanager
async def talking(taker: Taker, **settings: Any) -> AsyncIterator[tuple[Client, Seen]]:
    async with posting(taker, **settings) as (_, address, seen), client(address) as one:
        yield one, seen


def test_a_batch_is_accepted_with_its_cluster_and_its_peer() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, seen):
            reply = await one.post("/audit/prod", b'{"kind":"EventList"}')
            assert (reply.status, reply.body) == (200, b"accepted\n")
            assert (await one.post("/audit", b"{}")).status == 200
            assert seen.statuses == {200: 2}

    run(scenario())
    assert taker.taken == [("prod", b'{"kind":"EventList"}', "127.0.0.1"), ("default", b"{}", "127.0.0.1")]


def test_a_body_in_chunks_is_put_together() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            await one.say(b"POST /audit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in (b"3\r\n{  \r\n", b"3;ext=1\r\n  }\r\n", b"0\r\n\r\n"):
                await one.say(part)
            assert (await one.reply()).status == 200

    run(scenario())
    assert taker.taken[0][1] == b"{    }"


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            await one.say(request("/audit", b"{}", Expect="100-continue")[:-2])
            assert await one.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await one.say(b"{}")
            assert (await one.reply()).status == 200

    run(scenario())


def test_pipelined_batches_are_all_taken_in_their_order() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            await one.say(b"".join(request("/audit", b"%d" % number) for number in range(100)))
            assert [(await one.reply()).status for _ in range(100)] == [200] * 100

    run(scenario())
    assert [body for _, body, _ in taker.taken] == [b"%d" % number for number in range(100)]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/audit", "GET", 405),
        ("/audit", "PUT", 405),
        ("/", "POST", 404),
        ("/audit/a/b", "POST", 404),
        ("/api", "GET", 404),
    ],
)
def test_other_methods_and_paths_are_refused_and_the_connection_ends(path: str, method: str, status: int) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, seen):
            await one.say(request(path, b"{}", method))
            reply = await one.reply()
            assert (reply.status, reply.headers["connection"]) == (status, "close")
            assert reply.headers.get("allow") == ("POST" if status == 405 else None)
            assert seen.statuses == {status: 1}

    run(scenario())
    assert not taker.taken


def test_a_full_journal_makes_the_api_server_come_again_on_the_same_connection() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            for wait in (1, 7):
                taker.answer = Answer(429, "the journal is full", wait)
                reply = await one.post("/audit")
                assert (reply.status, reply.headers["retry-after"]) == (429, str(wait))
            taker.answer = ACCEPTED
            assert (await one.post("/audit")).status == 200

    run(scenario())


def test_an_answer_that_forgets_when_to_come_again_says_one_second() -> None:
    taker = Taker()
    taker.answer = Answer(429, "full")

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            assert (await one.post("/audit")).headers["retry-after"] == "1"

    run(scenario())


def test_an_error_of_ours_makes_the_api_server_come_again_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    taker = Taker()
    taker.answer = RuntimeError("the disk is on fire")

    async def scenario() -> None:
        async with talking(taker) as (one, seen):
            for _ in range(3):
                reply = await one.post("/audit/prod")
                assert (reply.status, reply.headers["retry-after"]) == (503, "1")
                assert b"fire" not in reply.body
            assert seen.statuses == {503: 3}

    run(scenario())
    assert len([record for record in caplog.records if "prod" in record.getMessage() and record.exc_info]) == 1


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
def test_a_gzip_body_is_taken_plain(name: str) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            reply = await one.post("/audit", gzip.compress(b"x" * 100_000), Content_Encoding=name)
            assert reply.status == 200

    run(scenario())
    assert taker.taken[0][1] == b"x" * 100_000


@pytest.mark.parametrize(
    ("sent", "encoding", "status"),
    [
        (gzip.compress(bytes(64 << 20)), "gzip", 413),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip", 415),
        (gzip.compress(b"{}")[:-1], "gzip", 400),
        (b"{}", "gzip", 400),
        (b"{}", "br", 415),
        (b"{}", "zstd", 415),
        (b"{}", "deflate", 415),
        (b"x" * 1_000_001, "identity", 413),
    ],
    ids=["bomb", "twice", "cut off", "no gzip", "br", "zstd", "deflate", "too large"],
)
def test_a_body_of_no_use_is_refused_and_told_with_its_hash(sent: bytes, encoding: str, status: int) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker, max_body=1_000_000, max_expanded=1_000_000) as (one, _):
            reply = await one.post("/audit/prod", sent, Content_Encoding=encoding)
            assert (reply.status, reply.headers["connection"]) == (status, "close")

    run(scenario())
    assert not taker.taken
    (told,) = taker.refused
    assert (told.cluster, told.peer, told.status, told.length) == ("prod", "127.0.0.1", status, len(sent))
    assert told.digest == sha256(sent[:1_000_000]).digest()


def test_a_body_of_100_mb_is_refused_without_being_kept() -> None:
    taker = Taker()
    size = 100 << 20

    async def scenario() -> None:
        async with posting(taker, max_body="1MiB", max_expanded="1MiB") as (webhook, address, _):
            highest = 0
            for _ in range(2):
                async with client(address) as one:
                    head = request("/audit/prod", b"", Content_Length=str(size))
                    await one.say(head)
                    reply = asyncio.create_task(one.reply())
                    sent = 0
                    while not reply.done():
                        one.writer.write(bytes(1 << 16))
                        sent += 1 << 16
                        highest = max(highest, webhook.bodies.memory.used)
                        await asyncio.sleep(0)
                    assert reply.result().status == 413
                    assert sent < size
            assert highest < 4 << 20

    run(scenario())
    assert taker.refused[0] == taker.refused[1]
    assert taker.refused[0].length == size


def test_a_body_in_chunks_without_end_is_refused_at_the_limit() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker, max_body=100_000) as (one, _):
            await one.say(b"POST /audit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            reply = asyncio.create_task(one.reply())
            while not reply.done():
                one.writer.write(b"400\r\n" + bytes(1024) + b"\r\n")
                await asyncio.sleep(0)
            assert reply.result().status == 413

    run(scenario())


def test_a_body_that_takes_too_long_gets_408() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker, read_timeout=0.1) as (one, seen):
            await one.say(request("/audit", b"{}")[:-1])
            reply = await one.reply()
            assert (reply.status, reply.headers["connection"]) == (408, "close")
            assert seen.statuses == {408: 1}

    run(scenario())
    assert not taker.taken


def test_bytes_that_trickle_do_not_prolong_the_time_for_a_body() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker, read_timeout=0.2) as (one, _):
            await one.say(request("/audit", b"", Content_Length="1000000"))
            reply = asyncio.create_task(one.reply())
            while not reply.done():
                one.writer.write(b" ")
                await asyncio.sleep(0.01)
            assert reply.result().status == 408

    run(scenario())


@pytest.mark.parametrize(
    "broken",
    [
        b"POST /audit HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        b"POST /audit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_client_that_goes_away_in_the_middle_of_a_body_leaves_nothing(broken: bytes) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker) as (webhook, address, seen):
            async with client(address) as one:
                await one.say(broken)
                await until(lambda: webhook.bodies.memory.used)
            await until(lambda: not webhook.connections and seen.statuses)
            assert seen.statuses == {400: 1}

    run(scenario())
    assert not taker.taken


def test_chunks_of_no_sense_are_refused() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            await one.say(b"POST /audit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await one.say(b"zz\r\nabc\r\n")
            assert b" 400 " in (await one.ended()).partition(b"\r\n")[0]

    run(scenario())
    assert not taker.taken


def test_more_bytes_than_announced_are_no_part_of_the_batch() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            assert (await one.post("/audit", b"{}")).status == 200
            await one.say(b"and more\r\n\r\n")
            assert b" 400 " in (await one.ended()).partition(b"\r\n")[0]

    run(scenario())
    assert [body for _, body, _ in taker.taken] == [b"{}"]


def test_a_batch_in_one_piece_with_garbage_is_refused_and_not_taken() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            await one.say(request("/audit", b"{}") + b"and more\r\n\r\n")
            assert (await one.reply()).status == 400

    run(scenario())
    assert not taker.taken


def test_when_all_memory_for_bodies_is_taken_the_next_is_put_off() -> None:
    taker = Taker()

    async def scenario() -> None:
        taker.hold = asyncio.Event()
        limits = {"max_body": 1_000_000, "max_expanded": 1_000_000, "max_buffered": 1_500_000}
        async with posting(taker, **limits) as (webhook, address, _), client(address) as one, client(address) as other:
            await one.say(request("/audit", bytes(1_000_000)))
            await until(lambda: taker.taken)
            reply = await other.post("/audit", bytes(900_000))
            assert (reply.status, reply.headers["retry-after"]) == (429, "1")
            taker.hold.set()
            assert (await one.reply()).status == 200
            await until(lambda: webhook.bodies.memory.used == 0)
            async with client(address) as again:
                assert (await again.post("/audit", bytes(900_000))).status == 200

    run(scenario())


def test_a_good_client_gets_through_a_thousand_slow_bodies() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker, max_connections=64) as (webhook, address, _), AsyncExitStack() as crowd:
            for _ in range(1_000):
                slow = await crowd.enter_async_context(client(address))
                await slow.say(request("/audit", b"x", Content_Length="1000000"))
            async with client(address) as good:
                for _ in range(3):
                    assert (await good.post("/audit/prod", bytes(800_000))).status == 200
            assert webhook.connections <= 64

    run(scenario())
    assert [cluster for cluster, _, _ in taker.taken] == ["prod"] * 3


def test_slow_bodies_are_let_go_by_themselves() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker, read_timeout=0.2) as (_, address, seen), AsyncExitStack() as crowd:
            slow = [await crowd.enter_async_context(client(address)) for _ in range(200)]
            for one in slow:
                await one.say(request("/audit", b"x", Content_Length="1000000"))
            assert {(await one.reply()).status for one in slow} == {408}
            assert seen.statuses == {408: 200}

    run(scenario())


def test_only_names_that_were_accepted_count_against_their_number() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker) as (one, _):
            taker.answer = Answer(429, "full")
            for number in range(70):
                assert (await one.post(f"/audit/spam-{number}")).status == 429
            taker.answer = ACCEPTED
            for number in range(64):
                assert (await one.post(f"/audit/good-{number}")).status == 200
            assert (await one.post("/audit/one-more")).status == 403

    run(scenario())


TOKENS = {"prod": {"tokens": [hash_token("t-prod")]}, "stage": {"tokens": [hash_token("t-stage")]}}


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        ("/audit/prod", "Bearer t-prod", 200),
        ("/audit", "Bearer t-stage", 200),
        ("/audit/prod", "Bearer t-stage", 403),
        ("/audit/prod", "Bearer wrong", 401),
        ("/audit/prod", "Basic dC1wcm9k", 401),
        ("/audit/prod", "", 401),
    ],
)
def test_a_token_opens_its_cluster_and_no_other(path: str, authorization: str, status: int) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker, clusters=TOKENS) as (one, _):
            reply = await one.post(path, b"{}", Authorization=authorization)
            assert reply.status == status
            assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)

    run(scenario())
    assert len(taker.taken) == (status == 200)


def test_who_is_not_authenticated_makes_nobody_read_a_body() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with talking(taker, clusters=TOKENS) as (one, _):
            await one.say(request("/audit/prod", b"", Content_Length="1000000"))
            assert (await one.reply()).status == 401

    run(scenario())
    assert not taker.refused


def test_bad_tokens_are_logged_once_in_a_while_and_never_in_full(caplog: pytest.LogCaptureFixture) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker, clusters=TOKENS) as (_, address, _):
            for _ in range(20):
                async with client(address) as one:
                    assert (await one.post("/audit/prod", Authorization="Bearer s3cret")).status == 401

    run(scenario())
    assert len([record for record in caplog.records if "401 for 127.0.0.1" in record.getMessage()]) == 1
    assert "s3cret" not in caplog.text


def certified(authority: Authority, **clusters: Any) -> dict[str, Any]:
    return {"tls": authority.settings(clients=True).model_dump(), "clusters": clusters}


def test_a_client_certificate_opens_the_cluster_that_names_it(tmp_path: Path) -> None:
    authority, taker = Authority(tmp_path), Taker()
    settings = certified(
        authority, prod={"certificate_names": ["api.prod"]}, stage={"certificate_names": ["api.stage"]}
    )

    async def scenario() -> None:
        async with posting(taker, **settings) as (_, address, _):
            async with client(address, authority.trusting("api.prod")) as one:
                assert (await one.post("/audit/prod")).status == 200
                assert (await one.post("/audit")).status == 200
                assert (await one.post("/audit/stage")).status == 403
            async with client(address, authority.trusting("api.other")) as one:
                assert (await one.post("/audit/prod")).status == 401

    run(scenario())
    assert [cluster for cluster, _, _ in taker.taken] == ["prod", "prod"]


def test_certificates_that_are_missing_expired_or_foreign_are_refused(tmp_path: Path) -> None:
    authority, taker = Authority(tmp_path), Taker()
    (tmp_path / "foreign").mkdir()
    foreign = Authority(tmp_path / "foreign")
    contexts = [
        authority.trusting(),
        authority.trusting("api.prod", expired=True),
        authority.trusting("api.prod", by=foreign),
    ]

    async def scenario() -> None:
        async with posting(taker, **certified(authority, prod={"certificate_names": ["api.prod"]})) as (_, address, _):
            for context in contexts:
                # In TLS 1.3 a client hears of it only when it reads.
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    async with client(address, context) as one:
                        await one.post("/audit/prod")

    run(scenario())
    assert not taker.taken


def test_where_a_token_would_do_no_certificate_is_asked_for(tmp_path: Path) -> None:
    authority, taker = Authority(tmp_path), Taker()
    settings = certified(authority, prod={"certificate_names": ["api.prod"], "tokens": [hash_token("t-prod")]})

    async def scenario() -> None:
        async with posting(taker, **settings) as (_, address, _), client(address, authority.trusting()) as one:
            assert (await one.post("/audit/prod", Authorization="Bearer t-prod")).status == 200
            assert (await one.post("/audit/prod")).status == 401

    run(scenario())


def test_new_tokens_hold_at_once_and_old_ones_no_longer() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker, clusters=TOKENS) as (webhook, address, _), client(address) as one:
            assert (await one.post("/audit/prod", Authorization="Bearer t-prod")).status == 200
            changed = {"prod": {"tokens": [hash_token("t-new")]}}
            webhook.reload(WebhookSettings.model_validate({"listen": "127.0.0.1:0", "clusters": changed}))
            assert (await one.post("/audit/prod", Authorization="Bearer t-new")).status == 200
            assert (await one.post("/audit/prod", Authorization="Bearer t-prod")).status == 401

    run(scenario())


def test_settings_of_no_use_change_nothing(tmp_path: Path) -> None:
    authority, taker = Authority(tmp_path), Taker()

    async def scenario() -> None:
        async with posting(taker, clusters=TOKENS, tls=authority.settings().model_dump()) as (webhook, address, _):
            before = webhook.settings
            missing = {**authority.settings().model_dump(), "cert": tmp_path / "none.pem"}
            for change in ({"tls": missing}, {"listen": "127.0.0.1:1"}):
                with pytest.raises(ConfigError):
                    webhook.reload(WebhookSettings.model_validate({"listen": "127.0.0.1:0", **change}))
            assert webhook.settings is before
            async with client(address, authority.trusting()) as one:
                assert (await one.post("/audit/prod", Authorization="Bearer t-prod")).status == 200

    run(scenario())


def test_a_change_of_the_client_ca_ends_connections_of_the_old_one(tmp_path: Path) -> None:
    authority, taker = Authority(tmp_path), Taker()
    (tmp_path / "new").mkdir()
    new = Authority(tmp_path / "new")
    clusters = {"prod": {"certificate_names": ["api.prod"]}}

    async def scenario() -> None:
        settings = certified(authority, **clusters)
        async with posting(taker, **settings) as (webhook, address, _):
            async with client(address, authority.trusting("api.prod")) as one:
                assert (await one.post("/audit")).status == 200
                tls = {**settings["tls"], "client_ca": new.path("ca.pem")}
                webhook.reload(
                    WebhookSettings.model_validate({"listen": "127.0.0.1:0", "tls": tls, "clusters": clusters})
                )
                assert await one.ended() == b""
            async with client(address, authority.trusting("api.prod", by=new)) as one:
                assert (await one.post("/audit")).status == 200
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                async with client(address, authority.trusting("api.prod")) as one:
                    await one.post("/audit")

    run(scenario())


def test_a_stop_answers_what_was_accepted_within_its_deadline() -> None:
    taker = Taker()

    async def scenario() -> None:
        taker.hold = asyncio.Event()
        async with posting(taker) as (webhook, address, _), client(address) as one:
            await one.say(request("/audit", bytes(800_000)))
            await until(lambda: taker.taken)
            stopping = asyncio.create_task(webhook.stop(30.0))
            await until(lambda: not webhook.addresses)
            taker.hold.set()
            assert (await one.reply()).status == 200
            await stopping
            assert webhook.connections == 0

    run(scenario())


@pytest.mark.parametrize(
    ("clusters", "cluster", "status"),
    [({}, "doctor", 200), ({}, "../x", 404), ({"prod": {}}, "prod", 200), ({"prod": {}}, "doctor", 404)],
)
def test_a_body_of_our_own_is_taken_for_clusters_that_may_post(clusters: Any, cluster: str, status: int) -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker, clusters=clusters) as (webhook, _, _):
            assert (await webhook.inject(cluster, b"{}")).status == status

    run(scenario())
    assert taker.taken == [(cluster, b"{}", "local")] * (status == 200)


def test_a_body_of_our_own_needs_no_proof() -> None:
    taker = Taker()

    async def scenario() -> None:
        async with posting(taker, clusters=TOKENS) as (webhook, _, _):
            assert (await webhook.inject("prod", b"{}")).status == 200
            taker.answer = OSError("a bug")
            assert (await webhook.inject("prod", b"{}")).status == 503

    run(scenario())
