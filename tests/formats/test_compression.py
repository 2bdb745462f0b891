"""Compressed streams: every kind, several members, damage, and bombs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
from collections.abc import Callable
from io import BytesIO

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from detector.formats import decompress, read

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
TEXT = b"".join(b'{"auditID":"%d","stage":"Panic","verb":"get"}\n' % number for number in range(5000))

every_kind = pytest.mark.parametrize("pack", PACK.values(), ids=PACK.keys())


class Trickle(BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


def unpack(data: bytes) -> tuple[bytes, str]:
    stream = decompress(BytesIO(data))
    plain = b""
    while part := stream.read(1 << 12):
        assert len(part) <= 1 << 12
        plain += part
    assert stream.read(10) == b""
    return plain, stream.problem


@every_kind
def test_a_packed_stream_is_what_was_packed(pack: Callable[[bytes], bytes]) -> None:
    assert unpack(pack(TEXT)) == (TEXT, "")
    assert unpack(pack(b"")) == (b"", "")


@every_kind
def test_several_members_are_one_stream(pack: Callable[[bytes], bytes]) -> None:
    assert unpack(pack(TEXT) + pack(b"a") + pack(b"") + b"\0\0\0\0" + pack(TEXT)) == (TEXT + b"a" + TEXT, "")


@every_kind
def test_a_stream_that_comes_byte_by_byte_is_the_same(pack: Callable[[bytes], bytes]) -> None:
    stream = decompress(Trickle(pack(TEXT[:900]) * 2))
    assert b"".join(iter(lambda: stream.read(1 << 20), b"")) == TEXT[:900] * 2
    assert stream.problem == ""


@every_kind
def test_a_stream_cut_off_gives_what_was_readable_and_says_so(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT) + pack(TEXT)
    plain, problem = unpack(packed[:-9])
    assert plain.startswith(TEXT)
    assert (TEXT + TEXT).startswith(plain)
    assert problem == "compressed data is cut off"


@every_kind
def test_data_after_the_end_is_reported(pack: Callable[[bytes], bytes]) -> None:
    assert unpack(pack(TEXT) + b"garbage after it") == (TEXT, "data after the end of the compressed data")


@every_kind
def test_damage_is_reported_and_does_not_raise(pack: Callable[[bytes], bytes]) -> None:
    packed = bytearray(pack(TEXT))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xaa" * 40
    plain, problem = unpack(bytes(packed))
    assert problem in ("damaged compressed data", "compressed data is cut off")
    assert len(plain) <= len(TEXT)


def test_reading_reports_damage_as_a_rejected_record() -> None:
    batches = list(read(decompress(BytesIO(gzip.compress(TEXT)[:-500]))))
    assert sum(len(batch.events) for batch in batches) > 1000
    assert batches[-1].rejected[-1].reason == "compressed data is cut off"


@every_kind
def test_a_bomb_is_not_held(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b'{"a":"' + b"\0" * (80 << 20))
    tracemalloc.start()
    batches = list(read(decompress(BytesIO(packed)), limit=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [rejected.reason for batch in batches for rejected in batch.rejected] == ["over the size limit"]
    assert peak < 40 << 20


@pytest.mark.parametrize("data", [b"", b"\x1f", b"BZ", b"\x1f\x8b\x08", b"plain text", b"\0\0\0\0"])
def test_what_is_not_compressed_is_left_alone_and_stubs_do_not_raise(data: bytes) -> None:
    plain, problem = unpack(data)
    assert plain == data or problem


@given(st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh", b""]), st.binary())
def test_no_bytes_make_unpacking_raise(magic: bytes, data: bytes) -> None:
    unpack(magic + data)
