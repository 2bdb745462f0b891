"""Gzip bodies and the memory that bodies may hold."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.sources.webhook.auth import RefusedError
from detector.sources.webhook.body import MEMBERS, BadBodyError, Memory, gunzip

LIMIT = 1 << 20


def status_of(sent: bytes, limit: int = LIMIT) -> int:
    with pytest.raises(BadBodyError) as caught:
        gunzip(sent, limit)
    assert caught.value.received == sent
    return caught.value.status


@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=MEMBERS))
def test_members_are_put_together(parts: list[bytes]) -> None:
    assert gunzip(b"".join(map(gzip.compress, parts)), LIMIT) == b"".join(parts)


def test_the_limit_is_exact() -> None:
    assert len(gunzip(gzip.compress(bytes(LIMIT)), LIMIT)) == LIMIT
    assert status_of(gzip.compress(bytes(LIMIT + 1))) == 413


def test_the_limit_holds_for_all_members_together() -> None:
    assert status_of(gzip.compress(bytes(LIMIT // 2 + 1)) * 2) == 413


def test_a_bomb_is_not_inflated_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    bomb = gzip.compress(bytes(256 << 20))
    tracemalloc.start()
    assert status_of(bomb) == 413
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * LIMIT


def test_many_empty_members_are_refused() -> None:
    assert status_of(gzip.compress(b"") * (MEMBERS + 1)) == 400


@given(st.binary(max_size=500))
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    if not data.startswith(b"\x1f\x8b"):
        assert status_of(data) == 400


@given(st.binary(min_size=1, max_size=500), st.data())
def test_gzip_that_is_cut_off_is_refused(data: bytes, draw: st.DataObject) -> None:
    sent = gzip.compress(data)
    assert status_of(sent[: draw.draw(st.integers(0, len(sent) - 1))]) == 400


@given(st.binary(min_size=1, max_size=500), st.data())
def test_gzip_with_a_wrong_checksum_or_length_is_refused(data: bytes, draw: st.DataObject) -> None:
    sent = bytearray(gzip.compress(data))
    sent[-draw.draw(st.integers(1, 8))] ^= 1 << draw.draw(st.integers(0, 7))
    assert status_of(bytes(sent)) == 400


@pytest.mark.parametrize("rest", [b"x", b"\0\0", zlib.compress(b"x")])
def test_gzip_followed_by_something_else_is_refused(rest: bytes) -> None:
    assert status_of(gzip.compress(b"abc") + rest) == 400


def test_memory_is_given_back_whatever_happens() -> None:
    memory = Memory(100)
    with memory.lease() as one, memory.lease() as other:
        one.take(60)
        other.take(40)
        with pytest.raises(RefusedError):
            other.take(1)
        assert memory.used == 100
    assert memory.used == 0
    with memory.lease() as again:
        again.take(100)
        assert memory.used == 100
