"""Standard output and files: whole lines, rotation, full disks, readers that have stopped reading."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector.outbox import Outbox
from detector.sinks import stdout
from detector.sinks.base import RetryError, Sink
from detector.sinks.file import FileSettings
from detector.sinks.lines import LineWriter
from detector.sinks.stdout import StdoutSettings
from tests.sinks.doubles import AppendSettings, FakeClock, Store, alert, scripted, until


def use(settings: FileSettings | StdoutSettings, work: Callable[[Sink], Awaitable[None]]) -> None:
    async def main() -> None:
        sink = settings.open(FakeClock())
        try:
            await work(sink)
        finally:
            await sink.close()

    asyncio.run(main())


def ids(path: Path) -> list[str]:
    return [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_a_file_is_its_owner_s_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"

    async def work(sink: Sink) -> None:
        await sink.send([alert(0)])
        await sink.send([alert(1), alert(2)])

    use(FileSettings(name="a", path=path), work)
    use(FileSettings(name="a", path=path, fsync=False), work)
    assert ids(path) == [alert(number).id for number in (0, 1, 2)] * 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_are_printable_ascii_whatever_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"

    async def work(sink: Sink) -> None:
        await sink.send([alert(0, actor="\x1b[2J\u202e\x7f\u2028é")])

    use(FileSettings(name="a", path=path), work)
    (line,) = path.read_bytes().splitlines()
    assert line.isascii()
    assert line.decode().isprintable()
    assert orjson.loads(line)["actor"] == "\x1b[2J\u202e\x7f\u2028é"


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path, old = tmp_path / "alerts.jsonl", tmp_path / "alerts.jsonl.1"

    async def work(sink: Sink) -> None:
        await sink.send([alert(0)])
        path.rename(old)
        await sink.send([alert(1)])
        path.unlink()
        await sink.send([alert(2)])

    use(FileSettings(name="a", path=path), work)
    assert ids(old) == [alert(0).id]
    assert ids(path) == [alert(2).id]


def test_a_file_that_was_emptied_goes_on_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"

    async def work(sink: Sink) -> None:
        await sink.send([alert(0)])
        os.truncate(path, 0)
        await sink.send([alert(1)])

    use(FileSettings(name="a", path=path), work)
    assert ids(path) == [alert(1).id]


def test_a_line_that_a_crash_cut_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"id":"cut')

    async def work(sink: Sink) -> None:
        await sink.send([alert(0)])

    use(FileSettings(name="a", path=path), work)
    cut, whole = path.read_bytes().splitlines()
    assert cut == b'{"id":"cut'
    assert orjson.loads(whole)["id"] == alert(0).id


def test_a_full_disk_is_told_and_asked_again() -> None:
    async def work(sink: Sink) -> None:
        with pytest.raises(RetryError, match="/dev/full: No space left on device"):
            await sink.send([alert(0)])

    use(FileSettings(name="a", path="/dev/full"), work)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "alerts.jsonl"

    async def work(sink: Sink) -> None:
        with pytest.raises(RetryError, match=r"alerts\.jsonl: No such file or directory"):
            await sink.send([alert(0)])
        path.parent.mkdir()
        assert await sink.send([alert(0)]) == []

    use(FileSettings(name="a", path=path), work)


def test_after_half_a_line_a_new_one_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    written = bytearray()
    room = [4]

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken = bytes(data)[: room[0]]
        room[0] -= len(taken)
        written.extend(taken)
        return len(taken)

    monkeypatch.setattr(os, "write", write)
    writer = LineWriter()
    with pytest.raises(OSError, match="No space"):
        writer.write(9, b"first line\n")
    room[0] = 1000
    writer.write(9, b"first line\n")
    writer.write(9, b"second\n")
    assert bytes(written) == b"firs\nfirst line\nsecond\n"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    ends = os.pipe()
    monkeypatch.setattr(stdout, "STDOUT", ends[1])
    return ends


def test_a_reader_that_has_gone_is_told(pipe: tuple[int, int]) -> None:
    async def work(sink: Sink) -> None:
        os.close(pipe[0])
        with pytest.raises(RetryError, match="standard output: Broken pipe"):
            await sink.send([alert(0)])

    use(StdoutSettings(name="a"), work)
    os.close(pipe[1])


def test_a_reader_that_has_stopped_reading_holds_up_nobody_else(pipe: tuple[int, int], tmp_path: Path) -> None:
    async def main() -> None:
        store, other = Store(tmp_path), scripted("other")
        store.add("stdout", *map(alert, range(500)))
        store.add("other", *map(alert, range(50)))
        outbox = Outbox(store, FakeClock())
        await outbox.configure([StdoutSettings(name="stdout", timeout="0.1s"), AppendSettings(name="other")])
        await until(lambda: len(other.got) == 50 and "stdout" in outbox.trouble)
        assert "stdout" in store.outbox_depth()
        await outbox.close(0)
        store.close()
        os.close(pipe[0])  # what was being written fails now
        await until(lambda: all(thread.name != "stdout" for thread in threading.enumerate()))

    asyncio.run(main())
    os.close(pipe[1])


def test_what_was_given_up_before_its_turn_is_never_written(pipe: tuple[int, int]) -> None:
    async def work(sink: Sink) -> None:
        filling = asyncio.create_task(sink.send([alert(number) for number in range(200)]))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sink.send([alert(999)])
        asyncio.get_running_loop().add_reader(pipe[0], lambda: data.extend(os.read(pipe[0], 1 << 16)))
        await filling
        await sink.send([alert(1000)])
        await until(lambda: data.count(b"\n") >= 201)
        asyncio.get_running_loop().remove_reader(pipe[0])

    data = bytearray()
    use(StdoutSettings(name="a"), work)
    os.close(pipe[0])
    os.close(pipe[1])
    assert data.count(b"\n") == 201
    assert alert(999).id.encode() not in data
    assert alert(1000).id.encode() in data
