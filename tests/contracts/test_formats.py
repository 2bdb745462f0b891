"""Every wrapping, found by itself: its examples decode as documented, and damage to them never raises or vanishes."""

from __future__ import annotations

from io import BytesIO

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.formats import Batch, decode, decode_batch, read
from detector.formats.wrappings import WRAPPINGS
from detector.formats.wrappings.base import Example, Wrapping

EXAMPLES = [
    pytest.param(example, id=f"{wrapping.name}-{number}")
    for wrapping in WRAPPINGS
    for number, example in enumerate(wrapping.examples)
]


def total(batches: list[Batch]) -> int:
    return sum(len(batch.events) + len(batch.rejected) + batch.skipped for batch in batches)


def check_text(batch: Batch) -> None:
    """What is decoded can be written again: no lone surrogates, no body that is not JSON."""
    for event in batch.events:
        msgspec.json.encode(event).decode()
        assert event.as_dict() is not None


@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=lambda wrapping: wrapping.name)
def test_a_wrapping_documents_itself(wrapping: Wrapping) -> None:
    assert wrapping.examples
    assert (wrapping.unwrap is None) != (wrapping.strip is None)
    assert any(example.events for example in wrapping.examples)


def test_names_are_unique() -> None:
    assert len({wrapping.name for wrapping in WRAPPINGS}) == len(WRAPPINGS) > 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_decodes_as_documented(example: Example) -> None:
    batch = decode_batch(example.raw)
    assert (len(batch.events), batch.skipped, len(batch.rejected)) == (
        example.events,
        example.skipped,
        example.rejected,
    )
    assert len(decode(example.raw)) == example.events + example.rejected
    check_text(batch)


@pytest.mark.parametrize("example", [param for param in EXAMPLES if b"stdout P" not in param.values[0].raw])  # type: ignore[union-attr]
def test_a_stream_of_an_example_decodes_as_the_document(example: Example) -> None:
    batches = list(read(BytesIO(example.raw + b"\n" + example.raw)))
    assert sum(len(batch.events) for batch in batches) == 2 * example.events
    assert sum(batch.skipped for batch in batches) == 2 * example.skipped
    assert sum(len(batch.rejected) for batch in batches) == 2 * example.rejected


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_cut_anywhere_leaves_a_trace(example: Example) -> None:
    for end in range(1, len(example.raw)):
        cut = example.raw[:end]
        assert total([decode_batch(cut)]) >= 1
        assert total(list(read(BytesIO(cut)))) >= 1


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_one_record_of_a_rejected_reason_without_its_content(example: Example) -> None:
    for rejected in decode_batch(example.raw[:-1]).rejected:
        assert "a1" not in rejected.reason
        assert len(rejected.sha256) == 64


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_example_never_raises_or_vanishes(data: st.DataObject) -> None:
    example: Example = data.draw(st.sampled_from([param.values[0] for param in EXAMPLES]))  # type: ignore[assignment]
    raw = bytearray(example.raw)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    batch = decode_batch(bytes(raw))
    assert total([batch]) >= 1
    check_text(batch)
    for part in read(BytesIO(bytes(raw))):
        check_text(part)


ODD = [None, True, 0, -1, 1e300, "", "x", [], {}, [None], {"a": None}, [[1]], "\U0001f600"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_value_of_the_wrong_type_anywhere_never_raises_or_vanishes(data: st.DataObject) -> None:
    examples = [param.values[0].raw for param in EXAMPLES if param.values[0].raw[:1] == b"{"]  # type: ignore[union-attr]
    try:
        value = orjson.loads(data.draw(st.sampled_from(examples)))
    except orjson.JSONDecodeError:
        return
    node = value
    while isinstance(node, dict | list) and node:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if data.draw(st.booleans()) or not isinstance(node[key], dict | list):
            node[key] = data.draw(st.sampled_from(ODD))
            break
        node = node[key]
    batch = decode_batch(orjson.dumps(value))
    assert total([batch]) >= 1
    check_text(batch)
