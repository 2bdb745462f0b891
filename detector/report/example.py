"""The settings as a commented YAML file, made from the Settings classes themselves."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from detector.config import Settings
from detector.report.settings import inner_settings, written_defaults
from detector.sinks import SINKS

WIDTH = 100
HEAD = """\
## Settings of redshank serve. Each has the value shown, or an example where there is none by default.
## To change one, take away the # in the first column, there and before the names of the sections it is in.
## Every one can also be set in the environment: REDSHANK_WEBHOOK__LISTEN=127.0.0.1:8889
"""


def example() -> str:
    """Give a file with every setting in it; as it stands, it changes nothing."""
    return "\n".join([HEAD, *_lines(Settings, "")]) + "\n"


def _lines(model: type[BaseModel], margin: str) -> Iterator[str]:
    written = written_defaults(model)
    for name, field in model.model_fields.items():
        yield from (f"#{margin}# {line}" for line in wrap(field.description or "", WIDTH - len(margin)))
        inner = inner_settings(field.annotation)
        if name == "sinks":
            yield "#sinks:"
            for sink in SINKS:
                yield from _sink(sink)
        elif inner is not None:
            yield f"#{margin}{name}:"
            yield from _lines(inner, f"{margin}  ")
        else:
            yield f"#{margin}{name}: {_value(field, written.get(name))}"
        if not margin:
            yield ""


def _sink(sink: type[BaseModel]) -> Iterator[str]:
    written = written_defaults(sink)
    for number, (name, field) in enumerate(sink.model_fields.items()):
        shown = _value(field, written.get(name))
        yield f"#{'  ' if number else '- '}{name}: {shown}  # {field.description}"


def _value(field: FieldInfo, written: Any) -> str:
    """Write the default of a field, or its first example where it has none, as YAML (JSON is YAML)."""
    default = written if written is not None or field.is_required() else field.get_default(call_default_factory=True)
    shown = field.examples[0] if field.examples and default in (None, (), [], {}) else default
    return orjson.dumps(shown, default=_plain).decode()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
