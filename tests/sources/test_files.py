"""Files: what paths mean, the order of events, progress, and clear errors."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import InputError
from detector.event import rfc3339
from detector.sources import FileSource, merge

START = 1_772_442_000_000_000


def lines(*seconds: float) -> bytes:
    return b"".join(
        b'{"auditID":"%s","stage":"Panic","verb":"get","stageTimestamp":"%s"}\n'
        % (str(second).encode(), rfc3339(START + int(second * 1_000_000)).encode())
        for second in seconds
    )


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def times(source: FileSource) -> list[float]:
    return [float(event.auditID or -1) for batch in source for event in batch.events]


def test_one_file_passes_through_whole(tmp_path: Path) -> None:
    source = FileSource([write(tmp_path / "a.log", lines(1, 2, 3) + b"nothing\n")])
    batches = list(source)
    assert {batch.path for batch in batches} == {str(tmp_path / "a.log")}
    assert [len(batch.events) for batch in batches if batch.events] == [3]
    assert [batch.rejected[0].line for batch in batches if batch.rejected] == [4]
    assert source.bytes_read == source.bytes_total == (tmp_path / "a.log").stat().st_size


def test_a_rotated_set_is_read_in_order_of_time_whatever_the_names(tmp_path: Path) -> None:
    write(tmp_path / "audit.log", lines(7, 8, 9))
    write(tmp_path / "audit-2.log.gz", lines(1, 2, 3))
    write(tmp_path / "audit-1.log", lines(4, 5, 6))
    source = FileSource([tmp_path])
    assert [Path(path).name for path in source.files] == ["audit-2.log.gz", "audit-1.log", "audit.log"]
    assert times(source) == list(range(1, 10))


def test_files_are_opened_when_they_are_due(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}.log", lines(number)) for number in range(200)]
    source = iter(FileSource(paths))
    next(source)
    opened = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert len(opened & set(map(str, paths))) <= 2
    assert sum(len(batch.events) for batch in source) == 199


def test_two_api_servers_are_merged_by_time(tmp_path: Path) -> None:
    one = write(tmp_path / "one.log", lines(*range(0, 3000, 2)))
    two = write(tmp_path / "two.log.gz", lines(*range(1, 3000, 2)))
    assert times(FileSource([two, one])) == list(range(3000))


def test_a_long_file_and_a_short_one_inside_its_time_are_merged(tmp_path: Path) -> None:
    long = write(tmp_path / "long.log", lines(*range(0, 9000, 3)))
    short = write(tmp_path / "short.log", lines(4000.5, 4001.5))
    source = FileSource([long, short])
    batches = list(source)
    found = [float(event.auditID or -1) for batch in batches for event in batch.events]
    assert found == sorted([*range(0, 9000, 3), 4000.5, 4001.5])
    assert sum(batch.path == str(long) for batch in batches) >= 2


def test_an_inversion_inside_a_file_stays_its_own_order(tmp_path: Path) -> None:
    one = write(tmp_path / "one.log", lines(1, 5, 4, 6))
    two = write(tmp_path / "two.log", lines(2, 7))
    assert times(FileSource([one, two])) == [1, 2, 5, 4, 6, 7]


def test_more_overlapping_files_than_may_be_open_are_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MAX_OPEN", 3)
    for number in range(10):
        write(tmp_path / f"{number}.log", lines(*range(number, 100, 10)))
    assert sorted(times(FileSource([tmp_path]))) == list(range(100))


def test_events_without_time_are_read_last_and_in_their_order(tmp_path: Path) -> None:
    timeless = write(tmp_path / "a.log", b'{"auditID":"99","stage":"Panic","verb":"get"}\n' * 2)
    timed = write(tmp_path / "b.log", lines(1, 2))
    assert times(FileSource([timeless, timed])) == [1, 2, 99, 99]


def test_rejected_and_skipped_keep_the_path_they_come_from(tmp_path: Path) -> None:
    one = write(tmp_path / "one.log", lines(1, 3) + b"x\n" + b'{"messageType":"CONTROL_MESSAGE"}\n')
    two = write(tmp_path / "two.log", lines(2, 4))
    batches = list(FileSource([one, two]))
    assert [(batch.path, batch.skipped, batch.rejected[0].line) for batch in batches if batch.rejected] == [
        (str(one), 1, 3)
    ]
    assert sum(batch.skipped for batch in batches) == 1


def test_a_folder_is_searched_and_what_is_no_audit_log_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "er" / "audit.log", lines(1))
    write(tmp_path / ".hidden" / "audit.log", lines(2))
    write(tmp_path / ".audit.swp", lines(3))
    write(tmp_path / "README.md", b"# read me\n")
    write(tmp_path / "pods.json", b'{"kind":"PodList","apiVersion":"v1","items":[]}')
    write(tmp_path / "empty.log", b"")
    source = FileSource([tmp_path])
    assert times(source) == [1]
    assert {Path(path).name for path in source.ignored} >= {"README.md", "empty.log"}


def test_a_file_named_and_found_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(1))
    assert times(FileSource([tmp_path, path, f"{tmp_path}/*.log"])) == [1]


def test_a_glob_is_expanded(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.log", lines(1))
    write(tmp_path / "y" / "a.log", lines(2))
    assert times(FileSource([f"{tmp_path}/**/*.log"])) == [1, 2]


def test_a_named_file_without_an_event_is_a_problem_and_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"hello\n")
    source = FileSource([path, write(tmp_path / "b.log", lines(1))])
    assert times(source) == [1]
    assert source.problems == [f"{path}: no audit event in it"]


def test_a_file_that_vanishes_before_it_is_due_is_a_problem_and_no_error(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.log", lines(1)), write(tmp_path / "b.log", lines(2))
    source = FileSource([first, second])
    second.unlink()
    assert times(source) == [1]
    assert len(source.problems) == 1
    assert "b.log" in source.problems[0]


@pytest.mark.parametrize(
    ("name", "reason"), [("none.log", "no such file"), ("*.none", "matches no file"), ("empty", "holds no files")]
)
def test_a_path_that_gives_nothing_is_an_error_that_names_it(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=reason) as error:
        FileSource([tmp_path / name])
    assert str(tmp_path / name) in str(error.value)


def test_no_path_and_a_folder_without_audit_logs_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no input"):
        FileSource([])
    write(tmp_path / "README.md", b"# read me\n")
    with pytest.raises(InputError, match="no audit log") as error:
        FileSource([tmp_path])
    assert str(tmp_path) in str(error.value)


NOBODY = """
import os, sys
from detector.errors import InputError
from detector.sources import FileSource
if os.geteuid() == 0:  # root may read everything
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    FileSource(sys.argv[1:])
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("paths", [["a.log"], ["closed"], ["open"], ["open/*"]])
def test_what_may_not_be_read_is_an_error(paths: list[str], tmp_path: Path) -> None:
    for path in (write(tmp_path / "a.log", lines(1)), write(tmp_path / "open" / "b.log", lines(1))):
        path.chmod(0)
    write(tmp_path / "closed" / "c.log", lines(1)).parent.chmod(0)
    for folder in (tmp_path, tmp_path / "open"):
        folder.chmod(0o755)
    # The paths are relative, so that the folders above need not be open to everybody.
    run = [sys.executable, "-c", NOBODY, *paths]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True)
    (tmp_path / "closed").chmod(0o755)
    assert "permission" in child.stdout
    assert child.stderr == ""


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_as_it_comes(pack: type[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, pack(lines(1, 2)))
    os.close(writer)
    with open(reader, "rb") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        source = FileSource(["-"])
        assert source.bytes_total is None
        assert times(source) == [1, 2]
        assert source.bytes_read > 0


def test_leaving_early_closes_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(*range(5000)))
    source = iter(FileSource([path]))
    next(source)
    source.close()  # type: ignore[attr-defined]
    opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert str(path) not in opened
