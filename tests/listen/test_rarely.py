"""Warnings that clients can cause at will."""

from __future__ import annotations

import logging

import pytest

from detector.listen.rarely import Rarely

log = logging.getLogger("test")


def test_each_kind_is_written_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    rarely = Rarely(log, every=3_600.0)
    for _ in range(5):
        rarely.warning(401, "bad token from %s", "10.0.0.1")
        rarely.warning(413, "too large")
    assert [record.getMessage() for record in caplog.records] == ["bad token from 10.0.0.1", "too large"]


def test_those_left_out_are_told_with_the_next(caplog: pytest.LogCaptureFixture) -> None:
    rarely = Rarely(log, every=3_600.0)
    for _ in range(3):
        rarely.warning(401, "bad token")
    rarely.every = 0.0
    rarely.warning(401, "bad token")
    rarely.warning(401, "bad token")
    assert [record.getMessage() for record in caplog.records] == [
        "bad token",
        "bad token (and 2 more like it since the last line)",
        "bad token",
    ]
