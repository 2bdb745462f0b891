"""Streams: lines, anything but lines, damage, and hostile input."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from hashlib import sha256
from io import BytesIO
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.formats import Batch, Rejected, read, splitter


def audit(number: int) -> bytes:
    return b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"%d","stage":"Panic","verb":"get"}' % number


E = [audit(number) for number in range(6)]
PRETTY = [json.dumps(json.loads(raw), indent=2).encode() for raw in E]
LIST = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['


class Pieces:
    """A stream that gives its bytes in pieces of given sizes."""

    def __init__(self, data: bytes, sizes: Iterator[int]) -> None:
        self.data, self.sizes, self.position = data, sizes, 0

    def read(self, size: int, /) -> bytes:
        start = self.position
        self.position += min(size, next(self.sizes, size))
        return self.data[start : self.position]


def read_all(data: bytes, sizes: Iterable[int] = (), limit: int = 64 << 20) -> Batch:
    whole = Batch()
    for batch in read(Pieces(data, iter(sizes)), limit=limit):
        assert batch
        whole.events += batch.events
        whole.rejected += batch.rejected
        whole.skipped += batch.skipped
    return whole


def ids(batch: Batch) -> list[str | None]:
    return [event.auditID for event in batch.events]


@pytest.mark.parametrize(
    "data",
    [
        b"\n".join(E),
        b"\n".join(E) + b"\n",
        b"\r\n".join(E) + b"\r\n",
        b"\xef\xbb\xbf" + b"\n".join(E),
        b"\n\n  \n".join(E),
        b"\n".join(b"[pod/kube-apiserver-0/kube-apiserver] " + raw for raw in E),
        b"".join(E),
        b" ".join(E),
        b"\x1e" + b"\n\x1e".join(E),
        b"\n".join(PRETTY),
        b"".join(PRETTY),
        b"[" + b",".join(E) + b"]",
        b"[\n" + b",\n".join(E) + b"\n]\n",
        b"[[" + b",".join(E[:3]) + b"],[" + b",".join(E[3:]) + b"]]",
        json.dumps([json.loads(raw) for raw in E], indent=4).encode(),
        LIST + b",".join(E) + b"]}",
        json.dumps(json.loads(LIST + b",".join(E) + b"]}"), indent=1).encode(),
        LIST + b",".join(E[:4]) + b"]}" + LIST + b",".join(E[4:]) + b"]}",
        json.dumps([raw.decode() for raw in E]).encode(),
    ],
)
@pytest.mark.parametrize("step", [splitter.STEP, 120], ids=["whole", "entered"])
def test_every_way_of_writing_events_one_after_the_other_is_read(data: bytes, step: int) -> None:
    with patch.object(splitter, "STEP", step):
        batch = read_all(data)
    assert (ids(batch), batch.rejected, batch.skipped) == (list("012345"), [], 0)


def test_a_large_list_is_entered_wherever_its_other_members_are() -> None:
    data = b'{"apiVersion":"v1","items":[' + b",".join(E) + b'],"kind":"EventList","metadata":{"n":1}}\n' + audit(6)
    with patch.object(splitter, "STEP", 200):
        batch = read_all(data)
    assert ids(batch) == list("0123456")
    assert batch.rejected == []


def test_empty_things_are_counted() -> None:
    assert read_all(b"[]").skipped == 1
    assert read_all(b"[ ] [[],[]]").skipped == 3
    assert read_all(LIST + b"]}").skipped == 1
    assert not list(read(BytesIO(b"")))
    assert not list(read(BytesIO(b"\n \n")))


def test_a_refused_line_is_named_by_number_length_and_digest() -> None:
    batch = read_all(E[0] + b"\n\nnothing\n" + E[1] + b"\n" + E[2][:70])
    assert ids(batch) == ["0", "1"]
    assert batch.rejected == [
        Rejected("not JSON", 7, sha256(b"nothing").hexdigest(), 0, 3),
        Rejected("cut off", 70, sha256(E[2][:70]).hexdigest(), None, 5),
    ]


@pytest.mark.parametrize("end", range(1, len(E[1])))
def test_a_line_cut_anywhere_costs_only_itself(end: int) -> None:
    batch = read_all(b"\n".join([E[0], E[1][:end], E[2], E[3]]))
    assert ids(batch) == ["0", "2", "3"]
    assert [rejected.line for rejected in batch.rejected] == [2]


@pytest.mark.parametrize("end", range(1, len(PRETTY[1])))
def test_a_pretty_printed_event_cut_anywhere_costs_only_itself(end: int) -> None:
    batch = read_all(b"\n".join([PRETTY[0], PRETTY[1][:end], PRETTY[2], PRETTY[3]]))
    assert ids(batch) == ["0", "2", "3"]
    assert [rejected.line for rejected in batch.rejected] == [8]


def test_damage_inside_an_indented_array_costs_one_event() -> None:
    data = json.dumps([json.loads(raw) for raw in E], indent=2).encode()
    batch = read_all(data.replace(b'"2"', b'"2'))
    assert ids(batch) == list("01345")
    assert len(batch.rejected) == 1


@pytest.mark.parametrize("bad", [b'{"a":x}', b'{"verb":}', b"{}", b"7", b'"x"', b'{"kind":"Pod"}', b'{"a":"\\q"}'])
def test_a_bad_element_costs_no_neighbour_even_in_a_file_of_one_line(bad: bytes) -> None:
    batch = read_all(b"[" + b",".join([E[0], bad, E[1]]) + b"]")
    assert ids(batch) == ["0", "1"]
    assert len(batch.rejected) == 1


def test_an_element_nested_deep_hides_neither_itself_nor_its_neighbours() -> None:
    deep = E[1][:-1] + b',"requestObject":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert ids(read_all(b"[" + b",".join([E[0], deep, E[2]]) + b"]")) == ["0", "1", "2"]


def test_a_list_without_end_is_reported() -> None:
    batch = read_all(b"[" + b",".join(E))
    assert ids(batch) == list("012345")
    assert [rejected.reason for rejected in batch.rejected] == ["cut off: a list has no end"]


def test_what_follows_a_document_on_its_line_is_not_lost() -> None:
    batch = read_all(E[0] + b" and more\n" + E[1])
    assert ids(batch) == ["0", "1"]
    assert [rejected.line for rejected in batch.rejected] == [1]


def test_lines_that_a_container_runtime_split_are_joined() -> None:
    lines = [
        b"2026-01-01T00:00:00.1Z stdout P " + E[0][:20],
        b"2026-01-01T00:00:00.2Z stderr F I0101 other text",
        b"2026-01-01T00:00:00.3Z stdout P " + E[0][20:40],
        b"2026-01-01T00:00:00.4Z stdout F " + E[0][40:],
        b"2026-01-01T00:00:00.5Z stdout F " + E[1],
        b"2026-01-01T00:00:00.6Z stdout P " + E[2],
    ]
    batch = read_all(b"\n".join(lines))
    assert ids(batch) == ["0", "1"]
    assert [(rejected.line, rejected.reason[:8]) for rejected in batch.rejected] == [(2, "not JSON"), (6, "cut off:")]


def test_a_joined_line_over_the_limit_is_refused() -> None:
    part = b"2026-01-01T00:00:00Z stdout P " + b"x" * 100 + b"\n"
    batch = read_all(part * 3 + part.replace(b" P ", b" F ") + E[0], limit=200)
    assert ids(batch) == ["0"]
    assert [(rejected.reason, rejected.line, rejected.length) for rejected in batch.rejected] == [
        ("over the size limit", 1, 400)
    ]


@pytest.mark.parametrize("long", [b'{"a":"' + b"x" * 900 + b'"}', b"x" * 900, b'["' + b"x" * 900 + b'"]'])
def test_a_line_over_the_limit_is_refused(long: bytes) -> None:
    batch = read_all(b"\n".join([E[0], long, E[1]]), [100] * 100, limit=300)
    assert ids(batch) == ["0", "1"]
    assert (batch.rejected[0].reason, batch.rejected[0].line) == ("over the size limit", 2)


def test_a_line_over_the_limit_is_not_held() -> None:
    class Endless:
        left = 400

        def read(self, size: int, /) -> bytes:
            self.left -= 1
            return b'{"a":"' if self.left == 399 else b"x" * (1 << 16) if self.left > 0 else b""

    tracemalloc.start()
    batches = list(read(Endless(), limit=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [rejected.reason for batch in batches for rejected in batch.rejected] == ["over the size limit"]
    assert batches[-1].rejected[0].length > 25_000_000
    assert peak < 8 << 20


def test_memory_is_flat_for_one_array() -> None:
    class Array:
        left = 4_000

        def read(self, size: int, /) -> bytes:
            self.left -= 1
            return (
                b"[" if self.left == 3_999 else E[0] * 10 + b"," if self.left > 0 else b"]" if self.left == 0 else b""
            )

    tracemalloc.start()
    events = sum(len(batch.events) for batch in read(Array(), limit=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == 39_980
    assert peak < 8 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"[" * (50 << 20),
        b'"' * (50 << 20),
        b'{"a":' * (10 << 20),
        b"{" * (50 << 20),
        b"[\n" * (2 << 20),
        b'{"a":\n' * (1 << 16),
        b'{"a":[\n' * 100 + b"1,\n" * (1 << 16),
        b'{"a":' + b"[[]," * (1 << 20),
    ],
    ids=["arrays", "quotes", "objects", "braces", "array-lines", "object-lines", "nested-lines", "pairs"],
)
def test_hostile_input_is_read_in_linear_time(data: bytes) -> None:
    """Anything quadratic here would take hours."""
    batch = read_all(data)
    assert batch.events == []
    assert batch.rejected


LINES = st.one_of(
    st.sampled_from(E),
    st.sampled_from(
        [b'{"kind":"Pod"}', b'{"messageType":"CONTROL_MESSAGE"}', b'{"log":"x"}', b"text", b'{"a":"\xff"}']
    ),
    st.integers(1, len(E[0]) - 1).map(lambda end: E[0][:end]),
    st.binary(max_size=20).map(lambda raw: b"x" + bytes(set(raw) - set(b"\n[]{}"))),
)


@given(st.lists(LINES))
@example([b'{"kind":"Event","apiVersion":', E[1], E[2]])
def test_every_line_is_an_event_a_refusal_or_skipped(lines: list[bytes]) -> None:
    batch = read_all(b"\n".join(lines))
    assert len(batch.events) + len(batch.rejected) + batch.skipped == len(lines)
    assert len(batch.events) == sum(line in E for line in lines)


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from([*E, *PRETTY, LIST, b"[", b"]", b"{", b"}", b'"', b",", b"\n", b" ", b"\\", b"x", b'{"a":']),
        st.sampled_from(
            [b"2026-01-01T00:00:00Z stdout P ", b"2026-01-01T00:00:00Z stdout F ", b"\xff", b"\r\n", b"  ", b"[x] "]
        ),
        st.binary(max_size=5),
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(FRAGMENTS, st.lists(st.integers(1, 60)), st.sampled_from([(80, 200), (200, 200), (1 << 20, 1 << 20)]))
def test_results_do_not_depend_on_where_chunks_end(data: bytes, sizes: list[int], bounds: tuple[int, int]) -> None:
    step, limit = bounds
    with patch.object(splitter, "STEP", step), patch.object(splitter, "PATIENCE", 500):
        one, other = read_all(data, limit=limit), read_all(data, sizes, limit=limit)
    assert ids(one) == ids(other)
    assert one.rejected == other.rejected
    assert one.skipped == other.skipped


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_make_reading_raise(data: bytes, size: int) -> None:
    read_all(data, [size] * 300)
