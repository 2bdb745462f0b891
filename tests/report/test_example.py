"""The example of a configuration can be used as it is, and every setting in it, once it is taken in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.config import Settings, load
from detector.report.example import example
from detector.report.settings import inner_settings, written_defaults
from detector.sinks import SINKS
from detector.sinks.settings import SinkSettings


def taken_in() -> dict[str, Any]:
    """Give the example without the signs in the first column."""
    data = yaml.safe_load(re.sub(r"^#", "", example(), flags=re.MULTILINE))
    assert isinstance(data, dict)
    return data


def test_as_it_stands_it_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "redshank.yaml"
    path.write_text(example())
    assert load(path).model_dump() == Settings().model_dump()


def test_every_setting_is_in_it_with_its_default() -> None:
    data = taken_in()
    assert data.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        if (inner := inner_settings(field.annotation)) is not None:
            assert data[name].keys() == inner.model_fields.keys()
            written = {key: one for key, one in written_defaults(inner).items() if one not in (None, [], {})}
            assert {key: one for key, one in data[name].items() if key in written} == written


@pytest.mark.parametrize("name", ["log", "stop_within"])
def test_a_section_taken_in_changes_nothing_either(name: str, tmp_path: Path) -> None:
    path = tmp_path / "redshank.yaml"
    path.write_text(yaml.safe_dump({name: taken_in()[name]}))
    assert load(path).model_dump() == Settings().model_dump()


@pytest.mark.parametrize("sink", SINKS)
def test_every_sink_is_in_it_with_every_option(sink: type[SinkSettings]) -> None:
    (found,) = [one for one in taken_in()["sinks"] if one["type"] == sink.model_fields["type"].default]
    assert found.keys() == sink.model_fields.keys()
    assert found["min_level"] == "medium"
    assert found["expire_after"] == "3d"
