"""A stop ends in time, whatever hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import pytest

from detector.service import run
from detector.service.daemon import Signals


def test_a_stop_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    codes: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(run, "GRACE", 0.0)
    signals = Signals(asyncio.Event(), asyncio.Event())
    with caplog.at_level(logging.ERROR):
        run._stop(signals, 0.01)
        assert ended.wait(60)
    assert signals.stopping.is_set()
    assert codes == [2]
    assert "the next start goes on where this one was" in caplog.text
