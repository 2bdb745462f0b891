"""Syslog over real sockets: counted frames, TLS, datagrams, and what can be known of delivery."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from pydantic import ValidationError

from detector.sinks import wire
from detector.sinks.base import Failure, RetryError, Sink
from detector.sinks.syslog import SyslogSettings
from tests.sinks.destinations import Syslogd
from tests.sinks.doubles import FakeClock, alert, until

HEADER = re.compile(rb"<(\d+)>1 \S+Z (\S+) redshank - alert (\[.*\]) (.*)", re.DOTALL)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Syslogd:
    return Syslogd(tmp_path, monkeypatch)


def use(daemon: Syslogd, work: Callable[[Sink], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        await daemon.start()
        sink = daemon.configured(**options).open(FakeClock())
        try:
            await work(sink)
        finally:
            await sink.close()
            await daemon.stop()

    asyncio.run(main())


async def three(sink: Sink) -> None:
    assert await sink.send([alert(number) for number in range(3)]) == []


def test_frames_count_their_octets_also_beyond_ascii(daemon: Syslogd) -> None:
    async def work(sink: Sink) -> None:
        await sink.send([alert(0, actor="jané 😀"), alert(1)])
        await until(lambda: len(daemon.frames) == 2)

    use(daemon, work)
    assert [HEADER.fullmatch(frame) is not None for frame in daemon.frames] == [True, True]
    assert "jané" in daemon.frames[0].decode()


def test_options_are_in_the_header(daemon: Syslogd) -> None:
    async def work(sink: Sink) -> None:
        await sink.send([alert(0)])
        await until(lambda: daemon.frames)

    use(daemon, work, facility=16, hostname="watch-1", body="json")
    match = HEADER.fullmatch(daemon.frames[0])
    assert match is not None
    assert match[1] == str(16 * 8 + 3).encode()
    assert match[2] == b"watch-1"
    assert orjson.loads(match[4])["id"] == alert(0).id


def test_a_server_that_went_away_while_nothing_was_sent_loses_nothing(daemon: Syslogd) -> None:
    async def work(sink: Sink) -> None:
        await three(sink)
        await until(lambda: len(daemon.got) == 3)
        await daemon.stop()
        with pytest.raises(RetryError):
            await sink.send([alert(7)])
        await daemon.start()
        await sink.send([alert(7)])
        await until(lambda: len(daemon.got) == 4)

    use(daemon, work)
    assert daemon.got[3:] == [alert(7).id]


def test_an_alert_is_delivered_when_the_other_machine_has_its_bytes(
    daemon: Syslogd, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [300, 20, 0]
    monkeypatch.setattr(wire, "unacknowledged", lambda transport: left.pop(0))
    use(daemon, three)
    assert left == []


def test_bytes_that_are_never_acknowledged_are_sent_again(daemon: Syslogd, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(sink: Sink) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(wire, "unacknowledged", lambda transport: 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await sink.send([alert(0)])
        await sink.send([alert(0)])
        await until(lambda: len(daemon.got) == 2)

    use(daemon, work)


def test_what_is_not_acknowledged_yet_is_counted_by_the_system() -> None:
    async def main() -> None:
        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gone.wait()
            writer.close()

        gone = asyncio.Event()
        server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert wire.unacknowledged(writer.transport) == 0
        writer.write(b"x" * (1 << 26))
        assert wire.unacknowledged(writer.transport) > 0
        writer.transport.abort()
        gone.set()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_tls_proves_the_server_and_carries_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusted, wrong = tmp_path / "ca.pem", tmp_path / "wrong.pem"
    authority.cert_pem.write_to_path(trusted)
    other.cert_pem.write_to_path(wrong)
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await reader.read())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        place = {"host": "localhost", "port": server.sockets[0].getsockname()[1]}
        refused = SyslogSettings(name="a", **place, tls={"ca_file": wrong}).open(FakeClock())
        with pytest.raises(RetryError, match="certificate verify failed"):
            await refused.send([alert(0)])
        await refused.close()
        sink = SyslogSettings(name="a", **place, tls={"ca_file": trusted}).open(FakeClock())
        await three(sink)
        await sink.close()
        await until(lambda: any(lines))
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    assert b"".join(lines).count(b">1 2026-") == 3


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: list[bytes] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append(data)


def test_datagrams_hold_one_message_each() -> None:
    async def main() -> None:
        transport, received = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        sink = SyslogSettings(name="a", host="127.0.0.1", port=port, protocol="udp").open(FakeClock())
        await three(sink)
        await until(lambda: len(received.got) == 3)
        assert all(HEADER.fullmatch(data) for data in received.got)
        await sink.close()
        transport.close()
        assert await sink.send([alert(0)]) == [], "nobody can know"
        with pytest.raises(RetryError, match="refused"):
            await sink.send([alert(0)])
        await sink.close()

    asyncio.run(main())


def test_a_message_too_large_for_a_datagram_costs_no_other() -> None:
    async def main() -> None:
        transport, received = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0)
        )
        sender = wire.Datagrams("127.0.0.1", transport.get_extra_info("sockname")[1])
        failures = await sender.send([b"one", b"x" * 70_000, b"two"])
        assert failures == [Failure(1, "70000 bytes are too many for a datagram", permanent=True)]
        await until(lambda: received.got == [b"one", b"two"])
        await sender.close()
        transport.close()

    asyncio.run(main())


@pytest.mark.parametrize("host", ["", "syslog://a", "a b", "a/b", "jane@a", "a\x00"])
def test_what_is_no_name_of_a_host_is_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        SyslogSettings(name="a", host=host)


def test_a_name_nobody_knows_is_told() -> None:
    async def main() -> None:
        for protocol in ("tcp", "udp"):
            sink = SyslogSettings(name="a", host="nowhere.invalid", protocol=protocol).open(FakeClock())
            with pytest.raises(RetryError, match=r"nowhere\.invalid:6514"):
                await sink.send([alert(0)])
            await sink.close()

    asyncio.run(main())
