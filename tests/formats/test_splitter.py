"""The splitter: what is cut where documents are not lines."""

from __future__ import annotations

from io import BytesIO

from detector.formats import read


def test_closing_brackets_without_an_array_do_not_close_a_later_one() -> None:
    for chunk in (1, 7, 1 << 17):
        batches = list(read(BytesIO(b"]\n\n\n]\n\n[\n\n"), chunk=chunk))
        assert [rejected.reason for batch in batches for rejected in batch.rejected] == ["cut off: a list has no end"]
