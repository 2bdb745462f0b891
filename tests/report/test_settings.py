"""Pages about settings say what the settings say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from detector.config import Settings
from detector.durations import Duration
from detector.finding import Level
from detector.report.settings import settings_markdown, sinks_markdown, written_defaults
from detector.sinks import SINKS, AnySink
from detector.sinks.settings import LevelName, SinkSettings

PAGE = Path(__file__).parents[2] / "docs" / "sinks.md"


class Inner(BaseModel):
    depth: int = Field(default=1, description="How deep.", examples=[2])


class Outer(BaseModel):
    a: str = Field(description="A | B.", examples=["x"])
    wait: Duration = Field(default=timedelta(minutes=90), description="How long.", examples=["3h"])
    level: LevelName = Field(default=Level.high, description="Which.", examples=["low"])
    mode: Literal["one", "two"] = Field(default="one", description="How.", examples=["two"])
    key: SecretStr | None = Field(default=None, description="Secret.", examples=["hush"])
    names: tuple[str, ...] = Field(default=(), description="Who.", examples=[["jane"]])
    inner: Inner = Field(default=Inner(), description="Inside.", examples=[{"depth": 3}])


def test_a_table_has_a_row_for_each_option_also_of_inner_ones() -> None:
    rows = settings_markdown(Outer).splitlines()[2:]
    assert rows == [
        "| `a` | text | required | A \\| B. | `x` |",
        "| `wait` | time span | `90m` | How long. | `3h` |",
        "| `level` | `informational`, `low`, `medium`, `high`, `critical` | `high` | Which. | `low` |",
        "| `mode` | `one`, `two` | `one` | How. | `two` |",
        "| `key` | secret |  | Secret. | `hush` |",
        '| `names` | list (text) |  | Who. | `["jane"]` |',
        "| `inner.depth` | whole number | `1` | How deep. | `2` |",
    ]


def test_what_another_class_has_alike_can_be_left_out() -> None:
    class More(Outer):
        extra: bool = Field(default=True, description="More.", examples=[False])
        a: str = Field(description="Something else.", examples=["y"])

    rows = settings_markdown(More, without=Outer).splitlines()[2:]
    assert rows == [
        "| `a` | text | required | Something else. | `y` |",
        "| `extra` | yes or no | `true` | More. | `false` |",
    ]


def test_defaults_are_written_as_they_are_read() -> None:
    defaults = written_defaults(Outer)
    assert defaults["wait"] == "90m"
    assert defaults["level"] == "high"
    assert "a" not in defaults
    assert Outer(a="x", **{name: value for name, value in defaults.items() if value is not None}) == Outer(a="x")


@pytest.mark.parametrize("sink", SINKS)
def test_the_page_about_sinks_names_every_option(sink: type[SinkSettings]) -> None:
    page = sinks_markdown()
    about = page[page.index(f"## {sink.model_fields['type'].default}\n") :]
    common = page[: page.index("## alertmanager")]
    for name in sink.model_fields.keys() - {"type"}:
        assert f"| `{name}` |" in about + common or f"| `{name}." in about, name


def test_the_examples_of_the_page_are_sinks() -> None:
    blocks = [block.partition("```")[0] for block in PAGE.read_text().split("```yaml\n")[1:]]
    found = [one for block in blocks for one in yaml.safe_load(block)["sinks"]]
    assert {one["type"] for one in found} == {sink.model_fields["type"].default for sink in SINKS}
    assert len(TypeAdapter(list[AnySink]).validate_python(found)) == len(SINKS)


def test_the_page_about_sinks_is_fresh() -> None:
    assert PAGE.read_text() == sinks_markdown(), "write sinks_markdown() to docs/sinks.md"


def test_all_settings_of_the_daemon_can_be_shown() -> None:
    page = settings_markdown(Settings)
    assert "| `webhook.listen` |" in page
    assert "object at 0x" not in page
