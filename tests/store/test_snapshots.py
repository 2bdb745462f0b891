"""Snapshots on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import StoreError, StoreFullError
from detector.store.snapshots import Snapshots
from tests.store.making import small_disk


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots")


def names(snapshots: Snapshots) -> list[str]:
    return sorted(path.name for path in snapshots.directory.iterdir())


def test_before_the_first_there_is_none(snapshots: Snapshots) -> None:
    assert (snapshots.newest(), snapshots.oldest(), snapshots.offsets()) == (None, None, [])
    assert not snapshots.directory.exists()


def test_the_newest_is_given(snapshots: Snapshots) -> None:
    snapshots.add(7, b"seven")
    snapshots.add(70, b"seventy")
    assert snapshots.newest() == (70, b"seventy")
    assert snapshots.oldest() == 7
    assert names(snapshots) == ["00000000000000000007.snap", "00000000000000000070.snap"]


def test_three_are_kept(snapshots: Snapshots) -> None:
    for offset in range(8, 13):
        snapshots.add(offset, b"")
    assert snapshots.offsets() == [10, 11, 12]


def test_only_the_owner_can_read_them(snapshots: Snapshots) -> None:
    snapshots.add(1, b"one")
    assert snapshots.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in snapshots.directory.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"redshank-snapshot-1\n", b"redshank-snapshot-1\n" + bytes(32) + b"two", b"redshank-snapshot-2\nx"],
)
def test_a_damaged_one_is_passed_over_and_that_is_said(
    snapshots: Snapshots, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots.add(1, b"one")
    snapshots.add(2, b"two")
    (snapshots.directory / "00000000000000000002.snap").write_bytes(content)
    assert snapshots.newest() == (1, b"one")
    assert "00000000000000000002.snap is damaged" in caplog.text


def test_any_changed_bit_is_damage(snapshots: Snapshots) -> None:
    snapshots.add(1, b"one")
    path = snapshots.directory / "00000000000000000001.snap"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreError, match="damaged"):
            snapshots.read(1)


def test_what_a_killed_write_left_is_no_snapshot_and_goes(snapshots: Snapshots) -> None:
    snapshots.add(1, b"one")
    (snapshots.directory / "00000000000000000002.snap.partial").write_bytes(b"half")
    (snapshots.directory / "note.snap").write_bytes(b"not ours")
    assert snapshots.newest() == (1, b"one")
    snapshots.add(3, b"three")
    assert names(snapshots) == ["00000000000000000001.snap", "00000000000000000003.snap", "note.snap"]


def test_a_full_disk_leaves_all_as_it_was(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 128 << 10) as disk:
        snapshots = Snapshots(disk / "snapshots")
        snapshots.add(1, b"one")
        with pytest.raises(StoreFullError, match="free some space"):
            snapshots.add(2, bytes(1 << 20))
        assert names(snapshots) == ["00000000000000000001.snap"]
        snapshots.add(3, b"three")
        assert snapshots.newest() == (3, b"three")


def test_the_newest_up_to_an_offset_is_given(snapshots: Snapshots) -> None:
    for offset in (3, 6, 9):
        snapshots.add(offset, b"%d" % offset)
    assert [snapshots.newest(upto) for upto in (2, 3, 8, 9)] == [None, (3, b"3"), (6, b"6"), (9, b"9")]
