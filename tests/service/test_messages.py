"""Messages between the two processes come back as they went."""

from __future__ import annotations

from io import BytesIO

import pytest

from detector.counters import Counters
from detector.finding import DISMISSED, Verdict
from detector.service.messages import (
    LENGTH,
    Begin,
    FromFold,
    More,
    Ready,
    Save,
    Saved,
    Stop,
    ToFold,
    Told,
    Trying,
    Unsaved,
    from_fold,
    pack,
    receive,
)
from tests.report.making import alert


@pytest.mark.parametrize(
    "message", [Begin("/j", b"\0state", 7, 60.0), Begin("/j", None, -1, 1.0), More(), Save(), Stop()]
)
def test_to_the_fold(message: ToFold) -> None:
    assert receive(BytesIO(pack(message))) == message


@pytest.mark.parametrize("cut", [0, 2, LENGTH, LENGTH + 1])
def test_a_stream_that_ends_is_its_end(cut: int) -> None:
    assert receive(BytesIO(pack(More())[:cut])) is None


@pytest.mark.parametrize(
    "message",
    [
        Ready(5, ("bad.yml: x",)),
        Trying(6),
        Saved(9, b"\xffsnapshot"),
        Unsaved(9, 1 << 33),
        Told(
            9,
            (alert(1), alert(2)),
            (Verdict("a", DISMISSED, "kim", "x", 3),),
            counters={"prod": Counters(events=2)},
            silenced={"s1": 3},
        ),
    ],
)
def test_from_the_fold(message: FromFold) -> None:
    assert from_fold(pack(message)[LENGTH:]) == message
