"""The settings as a commented YAML file, made from the Settings classes themselves."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from detector.config import Settings
from detector.sinks import SINKS

WIDTH = 100
HEAD = """\
# Settings of redshank serve. What is commented out has the value shown, or an example where there is no default.
# Every one can also be set in the environment: REDSHANK_WEBHOOK__LISTEN=127.0.0.1:8889
"""


def example() -> str:
    """Give a file with every setting in it; as it stands, it changes nothing."""
    return "\n".join([HEAD, *_lines(Settings, 0)]) + "\n"


def _lines(model: type[BaseModel], depth: int) -> Iterator[str]:
    margin = "  " * depth
    for name, field in model.model_fields.items():
        yield from (f"{margin}# {line}" for line in wrap(field.description or "", WIDTH - len(margin)))
        inner = _model(field)
        if name == "sinks":
            yield "# sinks:"
            for sink in SINKS:
                yield from _sink(sink)
        elif inner is not None:
            yield f"{margin}# {name}:" if _absent(field) else f"{margin}{name}:"
            yield from (
                (f"{margin}#   {line.strip()}" for line in _lines(inner, 0))
                if _absent(field)
                else _lines(inner, depth + 1)
            )
        else:
            yield f"{margin}# {name}: {_value(field)}"
        if not depth:
            yield ""


def _sink(sink: type[BaseModel]) -> Iterator[str]:
    for number, (name, field) in enumerate(sink.model_fields.items()):
        yield f"#   {'- ' if not number else '  '}{name}: {_value(field)}  # {field.description}"


def _model(field: FieldInfo) -> type[BaseModel] | None:
    """Give the class of settings that a field holds one of, None for other fields."""
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _absent(field: FieldInfo) -> bool:
    return field.default is None


def _value(field: FieldInfo) -> str:
    """Write the default of a field, or its first example where it has none, as YAML (JSON is YAML)."""
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    shown = field.examples[0] if field.examples and default in (None, (), [], {}) else default
    return orjson.dumps(shown, default=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)
