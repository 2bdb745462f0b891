"""What leaves the program: harmless text, JSON, files that are whole, numbers in words."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.encodings.jsontext import dumps
from detector.errors import ConfigError
from detector.event import SECOND
from detector.report.interrupt import Interrupt
from detector.report.machine import summary_json
from detector.report.progress import Bar
from detector.report.terminal import Page
from detector.report.when import Moment
from detector.report.words import count, duration, size
from detector.report.writer import AlertWriter
from tests.report.making import START, alert, full_outcome


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    with AlertWriter(str(path)) as writer:
        for number in range(500):
            writer.write(alert(number))
        assert not path.exists()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 500


def test_a_failed_run_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text("old")

    def fail() -> None:
        with AlertWriter(str(path)) as writer:
            writer.write(alert())
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 (it is our own)
        fail()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("alerts.jsonl", "old")]


def test_pipes_and_devices_are_written_as_they_are() -> None:
    with AlertWriter("/dev/null") as writer:
        writer.write(alert())
    assert not Path("/dev/null").is_file()


def test_the_json_summary_is_json() -> None:
    told = json.loads(dumps(summary_json(full_outcome())))
    assert told["alert_counts"]["total"] == 38
    assert told["alert_counts"]["by_level"] == {"critical": 2, "low": 36}
    assert told["input"]["rejected"][0]["count"] == 7
    assert told["actors"][0]["titles"] == ["Rights granted to everybody"]


def test_a_console_that_knows_no_unicode_gets_escapes() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="latin-1")
    Page(file, 80, rich=True).line("Ω → é")
    file.flush()
    assert b"\\u03a9 \\u2192 \xe9" in raw.getvalue()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-05T14:03:11Z", START),
        ("2026-03-05 14:03:11", START),
        ("2026-03-05T15:03:11+01:00", START),
        ("2026-03-05", START - (14 * 3600 + 3 * 60 + 11) * SECOND),
        ("2h", START - 7200 * SECOND),
        ("7d", START - 7 * 86_400 * SECOND),
    ],
)
def test_times_are_absolute_or_before_the_newest_event(text: str, time: int) -> None:
    assert Moment(text, "--since").at(START) == time


@pytest.mark.parametrize("text", ["", "now", "2 hours", "-2h", "2026-13-01", "12"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--since"):
        Moment(text, "--since")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "under 1 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (4620, "1 h 17 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(int(seconds * SECOND)) == words


def test_numbers_and_sizes() -> None:
    assert (count(1, "alert"), count(1200, "alert"), count(2, "entry", "entries")) == (
        "1 alert",
        "1,200 alerts",
        "2 entries",
    )
    assert (size(999), size(12_400_000), size(5e15)) == ("999 B", "12.4 MB", "5000.0 TB")


def numbers() -> Iterator[int]:
    yield from range(1000)


def test_ctrl_c_ends_the_input_after_the_batch_at_hand() -> None:
    seen = []
    with Interrupt() as interrupt:
        for number in interrupt.guard(numbers()):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            seen.append(number)
    assert (seen, interrupt.asked) == ([0, 1, 2, 3], True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_does_not_disturb_what_comes_after_the_input() -> None:
    with Interrupt() as interrupt:
        assert len(list(interrupt.last(numbers()))) == 1000
        os.kill(os.getpid(), signal.SIGINT)
    assert not interrupt.asked


def test_a_second_ctrl_c_is_not_held_back() -> None:
    with Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_no_bar_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    class Source:
        bytes_total, bytes_read = 10, 5

    with Bar(Source()) as bar:
        bar.show(1, 1)
    assert capsys.readouterr() == ("", "")
