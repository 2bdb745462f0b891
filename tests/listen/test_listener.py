"""The listener against clients that are slow, many, or wrong; with real sockets and real TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from detector.errors import ConfigError
from detector.listen import Address, Certificates, Listener, ListenSettings, TLSSettings
from detector.listen.connection import Stage, answer
from tests.listen.talking import Authority, Client, Seen, client, request, run, until

LOOPBACK = "127.0.0.1:0"


async def echo(asked: web.BaseRequest) -> web.StreamResponse:
    """Answer with the length of the body."""
    return answer(200, str(len(await asked.content.read())))


@asynccontextmanager
async def listening(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = echo,
    *,
    tls: TLSSettings | None = None,
    **limits: Any,
) -> AsyncIterator[tuple[Listener, Address, Seen]]:
    seen = Seen()
    listener = Listener(ListenSettings(listen=LOOPBACK, **limits), handler, observer=seen, watch=0.02)
    await listener.start(Address.parse(LOOPBACK), Certificates(tls) if tls else None)
    try:
        yield listener, listener.addresses[0], seen
    finally:
        await listener.stop(5.0)
        assert not listener.connections


async def slow_head(one: Client) -> None:
    await one.say(b"POST /audit HTTP/1.1\r\nHost: x\r\nX-Slow: ")


def test_a_connection_serves_many_requests() -> None:
    async def scenario() -> None:
        async with listening() as (_, address, _), client(address) as one:
            for size in (0, 3, 800_000):
                assert (await one.post("/", b"x" * size)).body == str(size).encode()

    run(scenario())


def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def scenario() -> None:
        async with listening() as (_, address, _), client(address) as one:
            await one.say(b"".join(request("/", b"x" * size) for size in range(50)))
            assert [(await one.reply()).body for _ in range(50)] == [str(size).encode() for size in range(50)]

    run(scenario())


def test_a_head_that_takes_too_long_ends_the_connection() -> None:
    async def scenario() -> None:
        async with listening(head_timeout=0.1) as (_, address, seen), client(address) as one:
            await slow_head(one)
            assert await one.ended() == b""
            assert seen.drops == {"slow": 1}

    run(scenario())


def test_bytes_that_trickle_do_not_prolong_the_time_for_a_head() -> None:
    async def scenario() -> None:
        async with listening(head_timeout=0.2) as (_, address, seen), client(address) as one:
            await slow_head(one)
            ending = asyncio.create_task(one.ended())
            while not ending.done():
                one.writer.write(b"a")
                await asyncio.sleep(0.01)
            assert seen.drops == {"slow": 1}

    run(scenario())


def test_the_time_for_a_head_holds_for_later_requests_too() -> None:
    async def scenario() -> None:
        async with listening(head_timeout=0.5) as (_, address, seen), client(address) as one:
            assert (await one.post("/")).status == 200
            await slow_head(one)
            assert await one.ended() == b""
            assert seen.drops == {"slow": 1}

    run(scenario())


def test_a_connection_that_never_speaks_is_ended() -> None:
    async def scenario() -> None:
        async with listening(head_timeout=0.1) as (_, address, seen), client(address) as one:
            assert await one.ended() == b""
            assert seen.drops == {"slow": 1}

    run(scenario())


def test_an_idle_connection_outlives_the_time_for_a_head() -> None:
    async def scenario() -> None:
        async with listening(head_timeout=0.5) as (_, address, _), client(address) as one:
            assert (await one.post("/")).status == 200
            await asyncio.sleep(0.8)
            assert (await one.post("/")).status == 200

    run(scenario())


def test_an_idle_connection_ends_in_order_after_its_time() -> None:
    async def scenario() -> None:
        async with listening(idle_timeout=0.05) as (_, address, seen), client(address) as one:
            assert (await one.post("/")).status == 200
            assert await one.ended() == b""
            assert not seen.drops

    run(scenario())


def test_a_tls_handshake_that_takes_too_long_ends_the_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listening(tls=Authority(tmp_path).settings(), head_timeout=0.1) as (listener, address, seen):
            async with client(address) as one:
                await one.say(b"\x16\x03\x01")
                assert await one.ended() == b""
            await until(lambda: not listener.connections)
            assert seen.drops == {"handshake": 1}

    run(scenario())


def test_what_is_no_tls_is_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listening(tls=Authority(tmp_path).settings()) as (listener, address, seen):
            async with client(address) as one:
                await one.say(request("/"))
                await one.ended()
            await until(lambda: not listener.connections)
            assert seen.drops == {"handshake": 1}

    run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"POST / HTTP/9.9\r\nHost: x\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_what_is_no_http_gets_400_and_the_end(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with listening() as (_, address, seen), client(address) as one:
            await one.say(garbage)
            assert b" 400 " in (await one.ended()).partition(b"\r\n")[0]
            assert seen.statuses == {400: 1}

    run(scenario())
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


def test_a_handler_that_raises_costs_one_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(asked: web.BaseRequest) -> web.StreamResponse:
        raise ValueError("ours")

    async def scenario() -> None:
        async with listening(broken) as (_, address, _):
            async with client(address) as one:
                reply = await one.post("/")
                assert (reply.status, reply.headers["connection"]) == (500, "close")
                assert b"ours" not in reply.body
                assert reply.headers["server"] == "redshank"
            async with client(address) as one:
                assert (await one.post("/")).status == 500

    run(scenario())
    assert "ours" in caplog.text


def test_a_good_client_gets_through_a_thousand_slow_ones() -> None:
    async def scenario() -> None:
        async with listening(max_connections=64) as (listener, address, seen), AsyncExitStack() as crowd:
            most = 0
            for _ in range(1_000):
                await slow_head(await crowd.enter_async_context(client(address)))
                most = max(most, len(listener.connections))
            async with client(address) as good:
                for _ in range(3):
                    assert (await good.post("/", b"x" * 100_000)).body == b"100000"
            await until(lambda: sum(seen.drops.values()) == 1_001 - 64)
            assert most <= 64
            assert seen.drops == {"crowded": 1_001 - 64}

    run(scenario())


def test_who_was_answered_before_is_not_pushed_out_by_those_who_never_were() -> None:
    async def scenario() -> None:
        async with (
            listening(max_connections=4) as (_, address, seen),
            client(address) as good,
            AsyncExitStack() as crowd,
        ):
            assert (await good.post("/")).status == 200
            for number in range(20):
                await slow_head(await crowd.enter_async_context(client(address)))
                await until(lambda number=number: seen.drops["crowded"] == max(0, number - 2))
            assert (await good.post("/")).status == 200

    run(scenario())


def test_nobody_who_waits_for_an_answer_is_pushed_out() -> None:
    release = asyncio.Event()

    async def slow(asked: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return answer(200, "done")

    async def scenario() -> None:
        async with listening(slow, max_connections=2) as (listener, address, seen), AsyncExitStack() as stack:
            waiting = [await stack.enter_async_context(client(address)) for _ in range(2)]
            for one in waiting:
                await one.say(request("/"))
            await until(lambda: all(one.stage is Stage.answering for one in listener.connections))
            async with client(address) as late:
                assert await late.ended() == b""
            assert seen.drops == {"crowded": 1}
            release.set()
            assert [(await one.reply()).body for one in waiting] == [b"done", b"done"]

    run(scenario())


def test_a_stop_finishes_what_is_under_way() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(asked: web.BaseRequest) -> web.StreamResponse:
        entered.set()
        await release.wait()
        return await echo(asked)

    async def scenario() -> None:
        async with listening(slow) as (listener, address, seen), client(address) as busy, client(address) as idle:
            await busy.say(request("/", b"x" * 900_000))
            await entered.wait()
            stopping = asyncio.create_task(listener.stop(30.0))
            assert await idle.ended() == b""
            with pytest.raises(ConnectionError):
                async with client(address):
                    pass
            release.set()
            reply = await busy.reply()
            assert (reply.status, reply.body, reply.headers["connection"]) == (200, b"900000", "close")
            await stopping
            assert not seen.drops

    run(scenario())


def test_a_stop_waits_for_the_rest_of_a_request_that_has_begun() -> None:
    async def scenario() -> None:
        async with listening() as (listener, address, _), client(address) as one:
            whole = request("/", b"x" * 1_000)
            await one.say(whole[:30])
            await until(lambda: any(each.stage is Stage.head for each in listener.connections))
            stopping = asyncio.create_task(listener.stop(30.0))
            await until(lambda: not listener.addresses)
            await one.say(whole[30:])
            assert (await one.reply()).body == b"1000"
            await stopping

    run(scenario())


def test_a_stop_ends_at_its_deadline_whatever_is_under_way() -> None:
    cancelled = asyncio.Event()

    async def stuck(asked: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async def scenario() -> None:
        async with listening(stuck) as (listener, address, seen), client(address) as one, client(address) as slow:
            await one.say(request("/"))
            await slow_head(slow)
            await until(lambda: {each.stage for each in listener.connections} == {Stage.answering, Stage.head})
            await listener.stop(0.05)
            assert cancelled.is_set()
            assert await one.ended() == await slow.ended() == b""
            assert seen.drops == {"stopped": 2}

    run(scenario())


def test_new_certificates_serve_new_connections_without_a_restart(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.serve(expired=True)

    async def scenario() -> None:
        async with listening(tls=authority.settings()) as (listener, address, _):
            with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
                async with client(address, authority.trusting()):
                    pass
            certificates = listener.certificates
            assert certificates is not None
            before = certificates.context
            authority.serve()
            await until(lambda: certificates.context is not before)
            async with client(address, authority.trusting()) as one:
                assert (await one.post("/", b"abc")).body == b"3"

    run(scenario())


def test_connections_of_old_certificates_end_after_their_answer(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(asked: web.BaseRequest) -> web.StreamResponse:
        entered.set()
        await release.wait()
        return await echo(asked)

    async def scenario() -> None:
        trusting = authority.trusting()
        async with (
            listening(slow, tls=authority.settings()) as (_, address, _),
            client(address, trusting) as busy,
            client(address, trusting) as idle,
        ):
            await busy.say(request("/", b"abc"))
            await entered.wait()
            authority.serve()
            assert await idle.ended() == b""
            release.set()
            reply = await busy.reply()
            assert (reply.body, reply.headers["connection"]) == (b"3", "close")

    run(scenario())


def test_an_old_tls_version_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def scenario() -> None:
        settings = authority.settings().model_copy(update={"minimum_version": "1.3"})
        async with listening(tls=settings) as (_, address, _):
            context = authority.trusting()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, ConnectionError)):
                async with client(address, context):
                    pass

    run(scenario())


def test_a_unix_socket_is_for_its_owner_alone_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(path))
    left_behind.close()

    async def scenario() -> None:
        async with listening() as (listener, _, _):
            listener.start_local(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            async with client(path) as one:
                assert (await one.post("/", b"abc")).body == b"3"

    run(scenario())
    assert not path.exists()


def test_a_file_in_the_place_of_the_unix_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")

    async def scenario() -> None:
        async with listening() as (listener, _, _):
            with pytest.raises(ConfigError, match=r"admin\.sock"):
                listener.start_local(path)

    run(scenario())
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_refused_clearly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listening() as (listener, _, _):
            with pytest.raises(ConfigError, match="shorter"):
                listener.start_local(tmp_path / ("x" * 150))

    run(scenario())


def test_a_taken_address_is_refused_clearly() -> None:
    async def scenario() -> None:
        async with listening() as (_, address, _):
            other = Listener(ListenSettings(listen=str(address)), echo)
            with pytest.raises(ConfigError, match="already in use"):
                await other.start(address)
            await other.stop(1.0)

    run(scenario())


@pytest.mark.parametrize("text", ["192.0.2.1:0", "no-such-host.invalid:0"])
def test_an_address_that_is_not_ours_is_refused_clearly(text: str) -> None:
    async def scenario() -> None:
        listener = Listener(ListenSettings(listen=text), echo)
        with pytest.raises(ConfigError, match="cannot listen"):
            await listener.start(Address.parse(text))
        await listener.stop(1.0)

    run(scenario())
