"""UTF-16: read as if it were UTF-8, with memory flat, and damage that costs one line."""

from __future__ import annotations

import codecs
import tracemalloc
from itertools import cycle
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats import decode, read, utf16
from detector.formats.utf16 import MARKS, Utf16
from tests.formats.test_reader import LIST, PRETTY, E, Pieces, ids, read_all

ENCODINGS = [pytest.param(mark, id=encoding) for mark, encoding in MARKS.items()]
BOTH = pytest.mark.parametrize("mark", ENCODINGS)


def encoded(mark: bytes, text: bytes) -> bytes:
    return mark + text.decode().encode(MARKS[mark])


@BOTH
@pytest.mark.parametrize(
    "data",
    [b"\r\n".join(E) + b"\r\n", b"\n".join(PRETTY), b"[" + b",".join(E) + b"]", LIST + b",".join(E) + b"]}"],
    ids=["lines", "pretty", "array", "list"],
)
def test_events_are_read_as_from_utf_8(mark: bytes, data: bytes) -> None:
    batch = read_all(encoded(mark, data), cycle([1, 7, 64]))
    assert (ids(batch), batch.rejected) == (list("012345"), [])


@BOTH
def test_one_document_is_read(mark: bytes) -> None:
    (event,) = decode(encoded(mark, E[0].replace(b"get", "g\U0001f600".encode())))
    assert event == decode(E[0].replace(b"get", "g\U0001f600".encode()))[0]


@BOTH
@given(st.text(), st.lists(st.integers(1, 40)))
def test_whatever_the_text_and_wherever_pieces_end_it_is_the_same(mark: bytes, text: str, sizes: list[int]) -> None:
    transcode, data = Utf16(mark), text.encode(MARKS[mark])
    given = b""
    for size in [*sizes, 1 << 20]:
        given += transcode.feed(data[:size], False)
        data = data[size:]
    assert (given + transcode.feed(b"", True)).decode() == text


@BOTH
def test_an_unpaired_surrogate_costs_one_character(mark: bytes) -> None:
    text = "\n".join(raw.decode() for raw in E).replace('"3"', '"\ud800"')
    batch = read_all(mark + text.encode(MARKS[mark], "surrogatepass"))
    assert ids(batch) == ["0", "1", "2", "�", "4", "5"]


@BOTH
@pytest.mark.parametrize("where", range(30, 60))
@pytest.mark.parametrize("patience", [16 << 20, 300])
def test_a_lost_byte_costs_its_line_only(mark: bytes, where: int, patience: int) -> None:
    lines = [(raw + b"\n").decode().encode(MARKS[mark]) for raw in E]
    lines[2] = lines[2][:where] + lines[2][where + 1 :]
    with patch.object(utf16, "PATIENCE", patience):
        batch = read_all(mark + b"".join(lines), cycle([100]))
    assert ids(batch) == ["0", "1", "3", "4", "5"]
    assert [rejected.line for rejected in batch.rejected] == [3]


@BOTH
def test_text_that_looks_like_a_lost_byte_hides_nothing(mark: bytes) -> None:
    """The client chooses its user agent: these characters hold a line end that is a byte off."""
    shifted = ("\n" + E[1].decode() + "\n").encode(MARKS[mark])
    trap = ((b"x" + shifted + b"x") if mark == codecs.BOM_UTF16_LE else (b"\1" + shifted + b"\1")).decode(MARKS[mark])
    events = [E[0].decode(), E[2].decode()[:-1] + f',"userAgent":"{trap}"}}', E[3].decode()]
    batch = read_all(mark + "\n".join(events).encode(MARKS[mark]))
    assert (ids(batch), batch.rejected) == (["0", "2", "3"], [])


@BOTH
def test_a_missing_half_at_the_end_costs_the_last_line(mark: bytes) -> None:
    batch = read_all(encoded(mark, b"\n".join(E))[:-1])
    assert (ids(batch), len(batch.rejected)) == (list("01234"), 1)


@BOTH
def test_memory_is_flat(mark: bytes) -> None:
    piece = (b"".join(raw + b"\n" for raw in E) * 100).decode().encode(MARKS[mark])
    data = Pieces(mark + piece * 100, cycle([1 << 17]))
    tracemalloc.start()
    events = sum(len(batch.events) for batch in read(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == 60_000
    assert peak < 4 << 20


@pytest.mark.parametrize("data", [b"\n\0", b"\0\n", b"\n\0\0", b"\0", b"\n", b"{\0"], ids=repr)
def test_hostile_input_is_read_in_linear_time(data: bytes) -> None:
    """Anything quadratic here would take hours."""
    assert read_all(codecs.BOM_UTF16_LE + data * (1 << 19)).events == []
