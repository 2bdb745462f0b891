"""Keys are written for their owner only, and nothing is lost by a second run."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detector.errors import ConfigError, InputError
from detector.setup.certificates import Authority
from detector.setup.files import File
from detector.setup.folder import authority_in, write

NOW = datetime.now(UTC)
FILES = [File("a.txt", b"a"), File("in/b.key", b"b")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def _open_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_umask")
def test_only_the_owner_may_read(tmp_path: Path) -> None:
    write(tmp_path / "new" / "out", FILES, force=False)
    assert {mode(path) for path in tmp_path.rglob("*") if path.is_file()} == {0o600}
    assert {mode(path) for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}


def test_nothing_is_written_when_something_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.key").write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"in/b\.key.*--out.*--force"):
        write(tmp_path, FILES, force=False)
    assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "in" / "b.key").read_bytes() == b"precious"


def test_force_writes_over_and_leaves_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, FILES, force=False)
    (tmp_path / "in" / "b.key").chmod(0o644)
    write(tmp_path, [File("in/b.key", b"new")], force=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "b.key", "in"]
    assert (tmp_path / "in" / "b.key").read_bytes() == b"new"
    assert mode(tmp_path / "in" / "b.key") == 0o600


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").symlink_to(tmp_path / "missing")
    with pytest.raises(ConfigError):
        write(out, FILES, force=False)
    (out / "a.txt").unlink()
    (out / "a.txt").symlink_to(tmp_path / "elsewhere")
    write(out, FILES, force=True)
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert (out / "a.txt").read_bytes() == b"a"


def test_the_ca_of_a_folder_is_taken_again(tmp_path: Path) -> None:
    first = authority_in(tmp_path, NOW)
    write(tmp_path, [File("ca.crt", first.pair.certificate), File("ca.key", first.pair.key)], force=False)
    assert authority_in(tmp_path, NOW).pair == first.pair
    write(tmp_path, [File("ca.crt", first.pair.certificate)], force=False)


@pytest.mark.parametrize("missing", ["ca.crt", "ca.key"])
def test_half_a_ca_is_not_made_whole_by_a_new_one(tmp_path: Path, missing: str) -> None:
    pair = Authority.new(NOW).pair
    write(tmp_path, [File("ca.crt", pair.certificate), File("ca.key", pair.key)], force=False)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=missing):
        authority_in(tmp_path, NOW)
