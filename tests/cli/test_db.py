"""``redshank db``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detector.cli.run import run
from detector.store.directory import Store
from tests.store.making import WAIT, alert, append

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    with Store(path) as store:
        for offset in range(3):
            append(store.journal)
            store.state.emit(offset, [alert(str(offset))], []).result(WAIT)
    return path


def test_check_says_that_a_store_is_sound(directory: Path, capsys: Capture) -> None:
    assert run(["db", "check", str(directory)]) == 0
    shown = capsys.readouterr().out
    assert "first offset 0, last offset 2, entries 3, events 3" in shown
    assert "emitted offset 2, alerts 3, outbox 0" in shown
    assert f"{directory} is sound\n" in shown


@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_check_exits_with_2_and_says_what_to_do_about_damage(
    directory: Path, quick: list[str], capsys: Capture
) -> None:
    (directory / "state.db").write_bytes(b"damaged" * 1_000)
    assert run(["db", "check", str(directory), *quick]) == 2
    shown = capsys.readouterr()
    assert "state.db is damaged" in shown.out
    assert "restore a backup" in shown.out
    assert f"{directory} is damaged\n" in shown.out
    assert shown.err == ""


def test_check_as_json(directory: Path, capsys: Capture) -> None:
    assert run(["db", "check", str(directory), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sound"] is True
    assert report["parts"][0]["counts"]["entries"] == 3
    (directory / "journal.db").unlink()
    assert run(["db", "check", str(directory), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["sound"] is False
    assert "journal.db" in report["parts"][0]["problems"][0]


def test_check_of_no_store_is_2(tmp_path: Path, capsys: Capture) -> None:
    assert run(["db", "check", str(tmp_path)]) == 2
    assert "redshank: error:" in capsys.readouterr().err


def test_backup_and_restore(directory: Path, tmp_path: Path, capsys: Capture) -> None:
    saved = str(tmp_path / "saved")
    assert run(["db", "backup", str(directory), saved]) == 0
    assert capsys.readouterr().out == f"backed up to {saved}\n"
    shutil.rmtree(directory)
    assert run(["db", "restore", saved, str(directory), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"restored": str(directory)}
    assert run(["db", "check", str(directory)]) == 0


def test_what_cannot_be_done_is_2_and_leaves_everything(directory: Path, tmp_path: Path, capsys: Capture) -> None:
    saved = str(tmp_path / "saved")
    assert run(["db", "backup", str(directory), saved, "--json"]) == 0
    assert run(["db", "backup", str(directory), saved]) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["db", "restore", saved, str(directory)]) == 2
    assert "--replace" in capsys.readouterr().err
    assert run(["db", "restore", saved, str(directory), "--replace"]) == 0
    assert (directory / "replaced-1" / "journal.db").exists()


def test_names_of_files_do_not_act_on_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "da\x1b[31mta"
    with Store(path):
        pass
    assert run(["db", "check", str(path)]) == 0
    assert run(["db", "backup", str(path), f"{path}2"]) == 0
    assert "\x1b" not in capsys.readouterr().out
