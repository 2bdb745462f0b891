"""Too much at once, against the real binary: huge bodies, and crowds of clients that are slow."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.daemon import ATTACK, Daemon, bodies, recorded, running

pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")
LINES = recorded()[:400] if ATTACK.exists() else []
HUGE = 100 << 20
BUFFERED = 256 << 20
"""Bytes of bodies that may be under way, unless settings say otherwise."""
CROWD = 1_000
HEAD = b"POST /audit/prod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path, sinks=[]) as one:
        yield one


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have a connection for everybody in the crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * CROWD)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def peak(daemon: Daemon) -> int:
    """Give the most memory the daemon has held, in bytes."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def answer_to(daemon: Daemon, head: bytes, chunk: bytes, times: int) -> bytes:
    """Send a body until all of it is sent or nobody listens any more; gives the first line of the answer."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as client:
        with suppress(OSError):
            client.sendall(HEAD + head)
            for _ in range(times):
                client.sendall(chunk)
        with suppress(OSError):  # a reset may take the answer along
            return client.recv(4096).partition(b"\r\n")[0]
    return b""


def looks_on(daemon: Daemon) -> None:
    """Make sure that it does its work."""
    assert [daemon.post(body) for body in bodies(LINES)] == [200] * 4
    daemon.settled()
    assert daemon.metric('redshank_events_total{cluster="prod"}') == len(LINES)
    assert daemon.stop() == 0


def test_bodies_of_100_megabytes_are_refused_and_memory_stays_within_its_bound(daemon: Daemon) -> None:
    before, chunk = peak(daemon), b" " * (1 << 20)
    piece = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    declared, undeclared = b"Content-Length: %d\r\n\r\n" % HUGE, b"Transfer-Encoding: chunked\r\n\r\n"
    answers = {answer_to(daemon, declared, chunk, 100), answer_to(daemon, undeclared, piece, 100)}
    after = peak(daemon)
    assert after - before < BUFFERED
    answers |= {answer_to(daemon, undeclared, piece, 100) for _ in range(3)}
    assert peak(daemon) - after < 32 << 20
    assert answers <= {b"HTTP/1.1 413 Request Entity Too Large", b""}
    assert daemon.metric('redshank_webhook_requests_total{status="413"}') == 5
    looks_on(daemon)


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("begun", [b"", HEAD, HEAD + b"Content-Length: 100\r\n\r\n{"])
def test_a_good_client_gets_through_a_thousand_slow_ones(daemon: Daemon, begun: bytes) -> None:
    with ExitStack() as crowd:
        for _ in range(CROWD):
            client = crowd.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=60))
            with suppress(OSError):  # it was pushed out by those behind it
                client.sendall(begun)
        assert [daemon.post(body) for body in bodies(LINES)] == [200] * 4
        assert daemon.metric("redshank_webhook_connections") <= 512
    looks_on(daemon)
