"""HTTP: certificates, time-outs, redirects, what an answer means. Real servers on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from detector.errors import ConfigError
from detector.sinks import client
from detector.sinks.base import RefusedError, RetryError
from detector.sinks.client import HttpClient, Reply
from detector.sinks.http import HttpSettings
from tests.report.making import START
from tests.sinks.doubles import FakeClock
from tests.sinks.server import Server

Run = Callable[[HttpClient, str], Coroutine[Any, Any, Any]]


async def fine(request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(text="fine")


def tls_of(authority: trustme.CA, name: str = "localhost", clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_of(tls: dict[str, Any] | None = None, **options: Any) -> HttpClient:
    return HttpClient(HttpSettings(name="a", url="http://unused", tls=tls or {}, **options), FakeClock())


def exchange(client: HttpClient, server: Server, work: Run | None = None, faults: tuple[str, ...] = ()) -> Any:
    async def main() -> Any:
        await server.start(faults)
        try:
            return await (work(client, server.url) if work else client.post(server.url, b"{}"))
        finally:
            await client.close()
            await server.stop()

    return asyncio.run(main())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def saved(authority: trustme.CA, folder: Path) -> Path:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def test_a_server_whose_authority_is_given_is_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    client = client_of({"ca_file": saved(authority, tmp_path)})
    assert exchange(client, Server(fine, tls_of(authority))).body == b"fine"


@pytest.mark.parametrize("name", ["localhost", "other.example.com"])
def test_a_server_that_cannot_prove_its_name_is_told_nothing(authority: trustme.CA, name: str, tmp_path: Path) -> None:
    options = {} if name == "localhost" else {"ca_file": saved(authority, tmp_path)}
    server = Server(fine, tls_of(authority, name))
    with pytest.raises(RetryError, match=r"^cannot connect to localhost:\d+: [^<]*certificate"):
        exchange(client_of(options), server)
    assert not server.requests


def test_verification_can_be_turned_off(authority: trustme.CA) -> None:
    assert exchange(client_of({"verify": False}), Server(fine, tls_of(authority, "other.example.com"))).status == 200


def test_old_versions_of_tls_are_refused(authority: trustme.CA, tmp_path: Path) -> None:
    client = client_of({"ca_file": saved(authority, tmp_path)})
    assert client._tls().minimum_version == ssl.TLSVersion.TLSv1_2


def test_our_certificate_is_shown_to_servers_that_ask(authority: trustme.CA, tmp_path: Path) -> None:
    clients = trustme.CA()
    ours = tmp_path / "client.pem"
    clients.issue_cert("redshank.example.com").private_key_and_cert_chain_pem.write_to_path(ours)
    trust = {"ca_file": saved(authority, tmp_path)}
    assert (
        exchange(client_of({**trust, "cert_file": ours}), Server(fine, tls_of(authority, clients=clients))).status
        == 200
    )
    with pytest.raises(RetryError):
        exchange(client_of(trust), Server(fine, tls_of(authority, clients=clients)))


def test_a_new_authority_is_trusted_without_a_restart(authority: trustme.CA, tmp_path: Path) -> None:
    path = saved(trustme.CA(), tmp_path)

    async def work(client: HttpClient, url: str) -> int:
        with pytest.raises(RetryError, match="certificate verify failed"):
            await client.post(url, b"{}")
        path.write_bytes(authority.cert_pem.bytes())
        return (await client.post(url, b"{}")).status

    assert exchange(client_of({"ca_file": path}), Server(fine, tls_of(authority)), work) == 200


@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_certificates_that_cannot_be_used_are_told_of(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="certificates cannot be used"):
        exchange(client_of({"ca_file": path}), Server(fine))


def test_a_server_that_is_not_there_is_named() -> None:
    async def main() -> None:
        client = client_of()
        with pytest.raises(RetryError, match=r"^cannot connect to 127\.0\.0\.1:1: Connect call failed [^<]*$"):
            await client.post("http://127.0.0.1:1/", b"{}")
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hang", "localhost did not answer in time"),
        ("endless", "the answer does not end"),
        ("cut", "ClientPayloadError|ContentLength|closed"),
        ("reset", "Server ?[dD]isconnected|reset"),
        ("redirect", "redirects are not followed"),
    ],
)
def test_what_is_no_answer_is_told_as_what_it_is(fault: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_ANSWER", 1 << 20)
    server = Server(fine)
    with pytest.raises(RetryError, match=message):
        exchange(client_of(timeout="1s" if fault == "hang" else "60s"), server, faults=(fault,))
    assert len(server.requests) == 1, "nothing is followed, nothing repeated here"


@pytest.mark.parametrize("status", [400, 413, 422, 431])
def test_statuses_about_what_was_sent_refuse_it(status: int) -> None:
    with pytest.raises(RefusedError, match=f"answered {status}: because"):
        Reply(status, None, b"because").check()


@pytest.mark.parametrize("status", [100, 301, 308, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 599, 999])
def test_all_other_statuses_mean_that_it_can_be_sent_again(status: int) -> None:
    with pytest.raises(RetryError, match=f"answered {status}"):
        Reply(status, 5.0, b"").check()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_success(status: int) -> None:
    Reply(status, None, b"").check()


def test_a_time_to_wait_is_passed_on() -> None:
    with pytest.raises(RetryError) as caught:
        exchange(client_of(), Server(fine), faults=("429",))
    assert caught.value.after == 77


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("Thu, 05 Mar 2026 14:04:11 GMT", 60),
        ("Thu, 05 Mar 2026 14:02:11 GMT", -60),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", 3),
        ("9" * 5000, 999_999_999),
        ("Thu, 99 Mar 99999 14:04:11 GMT", None),
    ],
)
def test_a_time_to_wait_is_read_as_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert START == 1_772_719_391_000_000
    assert client_of()._after(text) == seconds


def test_a_proxy_is_used() -> None:
    async def main() -> None:
        proxy = Server(fine)
        await proxy.start()
        client = client_of(proxy=proxy.url)
        assert (await client.post("http://siem.example.com/in", b"{}")).body == b"fine"
        ((request, _),) = proxy.requests
        assert request.headers["Host"] == "siem.example.com"
        await client.close()
        await proxy.stop()

    asyncio.run(main())
