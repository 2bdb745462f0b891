"""What the files say, and whether they have changed since."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from detector.service import configuration as module
from detector.service.configuration import Configuration
from tests.support import rule


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Settings, and a folder of one rule."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "mine.yml").write_text(yaml.safe_dump(rule("Mine")))
    settings = tmp_path / "redshank.yaml"
    settings.write_text(yaml.safe_dump({"rules": {"builtin": False, "paths": [str(rules)]}}))
    return settings, rules


def test_what_stays_has_not_changed(files: tuple[Path, Path]) -> None:
    configuration = Configuration(files[0], {})
    assert not configuration.changed()
    assert not configuration.again().changed()


def test_every_change_is_told_once(files: tuple[Path, Path]) -> None:
    settings, rules = files
    configuration = Configuration(settings, {})
    changes = (
        lambda: (rules / "mine.yml").write_text("# longer\n" + yaml.safe_dump(rule("Mine"))),
        lambda: (rules / "more.yml").write_text(yaml.safe_dump(rule("More"))),
        (rules / "more.yml").unlink,
        lambda: settings.write_text(settings.read_text() + "stop_within: 9s\n"),
        settings.unlink,
    )
    for change in changes:
        change()
        assert configuration.changed()
        assert not configuration.changed()


@pytest.mark.parametrize("reader", ["load", "rules_of"])
def test_what_changes_while_it_is_read_has_changed(
    files: tuple[Path, Path], reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, rules = files
    read = getattr(module, reader)

    def slowly(*given: object) -> object:
        found = read(*given)
        for path in (settings, rules / "mine.yml"):
            path.write_text("# longer\n" + path.read_text())
        return found

    monkeypatch.setattr(module, reader, slowly)
    configuration = Configuration(settings, {})
    monkeypatch.undo()
    assert configuration.changed()
