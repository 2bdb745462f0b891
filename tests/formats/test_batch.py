"""A batch: a crowd of bad records costs no memory of its own."""

from __future__ import annotations

import pytest

from detector.formats import decode_batch
from detector.formats.batch import CROWD
from tests.support import raw


@pytest.mark.parametrize(
    "head", [b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[', b'{"records":[', b"["]
)
def test_a_crowd_of_bad_items_is_counted_and_not_kept(head: bytes) -> None:
    tail = b"]" if head == b"[" else b"]}"
    batch = decode_batch(head + raw(1) + b",1" * 50_000 + b"," + raw(2) + tail)
    assert len(batch.events) == 2
    assert batch.refused == 50_000
    assert len(batch.rejected) == CROWD
