"""A fuzzer over `detector.formats.read`, run by hand (``make fuzz``); it needs ``atheris``.

Whatever the bytes: no exception, text that can be written again, and the same records wherever chunks end.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import BytesIO
from typing import Any

import msgspec

from detector.formats import decode_batch, decompress, read

LIMIT = 1 << 14


class Small(BytesIO):
    """A stream in pieces of 7 bytes."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(7)


def records(stream: BytesIO) -> tuple[int, int, int]:
    """Read everything; give the numbers of events, rejected and skipped records."""
    events = rejected = skipped = 0
    for batch in read(decompress(stream), limit=LIMIT):
        for event in batch.events:
            msgspec.json.encode(event).decode()
        events += len(batch.events)
        rejected += len(batch.rejected)
        skipped += batch.skipped
    return events, rejected, skipped


def one_input(data: bytes) -> None:
    """Try one input."""
    decode_batch(data)
    if records(BytesIO(data)) != records(Small(data)):
        raise AssertionError("the records depend on where chunks end")


def main() -> None:
    """Run until stopped; arguments are libFuzzer's."""
    atheris: Any = import_module("atheris")
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
