"""Posting as an API server does: to whom, and what is shown to whom."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ConfigError
from detector.service.doctor.post import Proof, StrangerError, certificate_in, post
from tests.listen.talking import PATIENCE, Authority

LONG = "x" * 5_000


class Listening:
    """An HTTP server that remembers who posted what."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str | None, bytes]] = []
        listening = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listening.got.append((self.path, self.headers["Authorization"], body))
                self.send_response(401)
                self.end_headers()
                self.wfile.write(LONG.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def secure(self, authority: Authority) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.path("cert.pem"), authority.path("key.pem"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)


@pytest.fixture
def listening() -> Iterator[Listening]:
    one = Listening()
    one.thread.start()
    try:
        yield one
    finally:
        one.server.shutdown()
        one.thread.join(PATIENCE)
        one.server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ".".join("0000")])
def test_a_body_is_posted_with_the_token_also_to_who_listens_everywhere(listening: Listening, host: str) -> None:
    status, said = post(f"http://{host}:{listening.port}/audit/prod", b"{}", Proof("t"), None, PATIENCE)
    assert (status, said) == (401, LONG[:1_000])
    assert listening.got == [("/audit/prod", "Bearer t", b"{}")]


def test_a_server_is_known_by_its_certificate_and_a_stranger_is_told_nothing(
    listening: Listening, tmp_path: Path
) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        folder.mkdir()
    authority = Authority(ours)
    listening.secure(authority)
    url = f"https://127.0.0.1:{listening.port}/audit/prod"
    for expected in (certificate_in(Authority(other).path("cert.pem")), None):
        with pytest.raises(StrangerError, match="another certificate"):
            post(url, b"{}", Proof("t"), expected, PATIENCE)
    assert listening.got == []
    assert post(url, b"{}", Proof(), certificate_in(authority.path("cert.pem")), PATIENCE)[0] == 401
    assert listening.got == [("/audit/prod", None, b"{}")]


def test_proof_is_read_from_files_and_both_halves_of_a_certificate_are_needed(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t\n")
    assert Proof.read(token, None, None) == Proof("t")
    assert not Proof.read(None, None, None).given
    for halves in ((token, None), (None, token)):
        with pytest.raises(ConfigError, match="go together"):
            Proof.read(None, *halves)
