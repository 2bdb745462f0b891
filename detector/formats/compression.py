"""Compressed streams, told by their first bytes: gzip, zstd, xz, bz2, or none.

Several members or frames in a row are one stream. Damage does not raise: what was readable is given, then the end, and
`Decompressed.problem` says what happened (`detector.formats.read` turns it into a `Rejected`).
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from io import BytesIO
from typing import Protocol

import zstandard
from isal import igzip_lib

INPUT = 1 << 17
"""Compressed bytes read at a time."""

ZSTD_INPUT = 1 << 9
"""Compressed bytes handed to zstd at a time: it cannot be told to stop, and 512 bytes may become 16 MiB."""


class Readable(Protocol):
    """The part of a binary stream that is used here: ``read`` may give less than asked, and b"" only at the end."""

    def read(self, size: int, /) -> bytes:
        """Give up to ``size`` bytes."""
        ...


class Decompressor(Protocol):
    """What `bz2.BZ2Decompressor`, `lzma.LZMADecompressor` and `isal.igzip_lib.IgzipDecompressor` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zstd:
    """A zstd frame behind the interface of the others."""

    def __init__(self) -> None:
        self.inner = zstandard.ZstdDecompressor().decompressobj()
        self.waiting, self.ready = BytesIO(), BytesIO()
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self.inner.eof and not _left(self.ready)

    @property
    def unused_data(self) -> bytes:
        return self.inner.unused_data + self.waiting.read()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self.waiting = BytesIO(self.waiting.read() + data)
        if not _left(self.ready) and not self.inner.eof:
            self.ready = BytesIO(self.inner.decompress(self.waiting.read(ZSTD_INPUT)))
        given = self.ready.read(max_length)
        self.needs_input = not _left(self.ready) and not _left(self.waiting)
        return given


def _left(buffer: BytesIO) -> bool:
    return buffer.tell() < buffer.getbuffer().nbytes


def _gzip() -> Decompressor:
    decompressor: Decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return decompressor


MAGIC: tuple[tuple[bytes, Callable[[], Decompressor]], ...] = (
    (b"\x1f\x8b\x08", _gzip),
    (b"\x28\xb5\x2f\xfd", _Zstd),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"BZh", bz2.BZ2Decompressor),
)

_ISAL_ERROR: type[Exception] = igzip_lib.error  # type: ignore[assignment]  # its stub declares an instance
_DAMAGED: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    zstandard.ZstdError,
    _ISAL_ERROR,
)


def _sniff(head: bytes) -> Callable[[], Decompressor] | None:
    return next((make for magic, make in MAGIC if head.startswith(magic)), None)


class Decompressed:
    """A stream of plain bytes."""

    def __init__(self, source: Readable) -> None:
        self.source = source
        self.problem = ""
        """What was wrong with the compressed data, known at the end of the stream."""
        self.waiting = self._head(b"")
        self._next_member(_sniff(self.waiting))

    def _head(self, head: bytes) -> bytes:
        """Read on until a magic number could be told."""
        while len(head) < len(MAGIC[2][0]):
            more = self.source.read(INPUT)
            if not more:
                break
            head += more
        return head

    def _next_member(self, make: Callable[[], Decompressor] | None) -> None:
        self.make = make
        self.member = make() if make else None

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Give up to ``size`` plain bytes, b"" at the end."""
        if self.problem:
            return b""
        if self.member is not None:
            return self._inflated(size)
        if not self.waiting:
            return self.source.read(size)
        given, self.waiting = self.waiting[:size], self.waiting[size:]
        return given

    def _inflated(self, size: int) -> bytes:
        while not self.problem and self.member is not None:
            if self.member.eof:
                self._another()
                continue
            if self.member.needs_input and not self.waiting:
                self.waiting = self.source.read(INPUT)
                if not self.waiting:
                    self.problem = "compressed data is cut off"
                    break
            data, self.waiting = self.waiting, b""
            try:
                given = self.member.decompress(data, size)
            except _DAMAGED:
                self.problem = "damaged compressed data"
                break
            if given:
                return given
        return b""

    def _another(self) -> None:
        """Go on to the next member; zero bytes between them are padding."""
        member = self.member
        rest = self._head(member.unused_data if member else b"").lstrip(b"\0")
        while rest == b"" and (more := self.source.read(INPUT)):
            rest = self._head(more.lstrip(b"\0"))
        make = _sniff(rest)
        if rest and make is not self.make:
            self.problem = "data after the end of the compressed data"
        self.waiting = rest
        self._next_member(make if rest else None)


def decompress(stream: Readable) -> Decompressed:
    """Give the plain bytes of a stream, whatever it is compressed with."""
    return Decompressed(stream)
