"""Pages about settings, made from the Settings classes: what can be set, to what, what it is by itself, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import orjson
import yaml
from pydantic import BaseModel, ByteSize, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from detector.report.reference import table
from detector.sinks import SINKS
from detector.sinks.settings import SinkSettings

INTRODUCTION = """\
Where alerts go. This page is made from the settings themselves, by `detector.report.settings`.

A sink of mode *upsert* replaces what it has of an alert with each revision, and so hears of every one. A sink of mode
*append* hears when an alert opens and when it rises in level (and, with `closed`, when it closes).

An alert waits until its sink has said yes. A sink that cannot be reached, or asks for time, is tried again after ever
longer waits, up to five minutes, and holds up no other. What a sink refuses for good, and what could not be delivered
within `expire_after`, goes to the dead letters, from where it can be sent again. Delivery is at least once: after a
crash a message may come twice, with the same alert id and revision. Messages about one alert come in order.

While a sink of mode *upsert* takes nothing, a newer revision of an alert takes the place of the older one that waits;
one of mode *append* hears of each. When more waits than `most_waiting` or `most_waiting_bytes` allow, the oldest give
way: they go to the dead letters unsent, and `redshank_displaced_deliveries_total` counts them. For each sink the newest
10,000 failed deliveries are kept there, in at most 256 MiB; `redshank_lost_deliveries_total` counts those that had to
go for good. What waits for a sink that is configured no more goes to the dead letters after three days;
`redshank doctor` names it.

A secret `x` can be given as `x_file`, the path of a file that is read whenever the secret is used.
"""
HEAD = ("Option", "What", "Default", "Meaning", "Example")
KIND = "type"
"""The option that tells sinks apart: each has a heading of its own."""
_WORDS = {bool: "yes or no", int: "whole number", float: "number", str: "text"}
_WORDS |= {Path: "path", timedelta: "time span", SecretStr: "secret", ByteSize: "size"}


def settings_markdown(model: type[BaseModel], *, without: type[BaseModel] | None = None) -> str:
    """Give the options of a Settings class as a table in Markdown; ``without`` those that another class has alike.

    Options of a class inside it are named with a dot: ``tls.ca_file``.
    """
    known = without.model_fields if without is not None else {}
    left = {name: one for name, one in model.model_fields.items() if not _alike(one, known.get(name)) and name != KIND}
    return table(HEAD, _rows(model, left))


def written_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Give the defaults of a Settings class as they would be written in a file; options without one are left out."""
    properties = model.model_json_schema(mode="serialization").get("properties", {})
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


def sinks_markdown() -> str:
    """Give the page about all sinks: the options they share, then each with an example and its own options."""
    parts = ["# Sinks\n", INTRODUCTION, "## Options of every sink\n", settings_markdown(SinkSettings)]
    for sink in SINKS:
        kind = sink.model_fields[KIND].default
        about = cleandoc(sink.__doc__ or "")
        parts += [f"## {kind}\n", f"{about}\n", f"Mode: {sink.mode}.\n", f"```yaml\n{_example(sink)}```\n"]
        parts.append(settings_markdown(sink, without=SinkSettings))
    return "\n".join(parts)


def inner_settings(annotation: Any) -> type[BaseModel] | None:
    """Give the Settings class that an option is one of, or may be; None for other options, such as many by name."""
    kinds = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _rows(model: type[BaseModel], fields: dict[str, FieldInfo], above: str = "") -> Iterator[tuple[str, ...]]:
    defaults = written_defaults(model)
    for name, field in fields.items():
        inner = inner_settings(field.annotation)
        if inner is not None:
            yield from _rows(inner, inner.model_fields, f"{above}{name}.")
            continue
        default = "required" if field.is_required() else _code(defaults.get(name))
        example = _code(field.examples[0]) if field.examples else ""
        yield f"`{above}{name}`", _shape(field.annotation), default, field.description or "", example


def _alike(field: FieldInfo, other: FieldInfo | None) -> bool:
    return other is not None and (field.default, field.description) == (other.default, other.description)


def _shape(annotation: Any) -> str:
    """Say in words what a value is."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inside)
    if origin in {Union, UnionType}:
        return " or ".join(_shape(one) for one in inside if one is not NoneType)
    if origin is dict:
        return "texts by name"
    if origin in {tuple, list}:
        return f"list ({_shape(inside[0])})"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{one.name}`" for one in annotation)
    return _WORDS.get(annotation, "text")


def _code(value: Any) -> str:
    """Write a value as YAML takes it (JSON is YAML); nothing for what is absent or empty."""
    if value is None or value in ([], {}, ""):
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{orjson.dumps(value).decode()}`"


def _example(sink: type[SinkSettings]) -> str:
    """Give the fewest options that make such a sink, secrets in files."""
    fields = sink.model_fields
    needed = [name for name, field in fields.items() if field.is_required() and name != "name"]
    options = {KIND: fields[KIND].default, "name": fields[KIND].default}
    options |= {name: (fields[name].examples or [None])[0] for name in needed}
    for name in ("", *(name for name in fields if name.endswith("_file"))):
        extra = {name: (fields[name].examples or [None])[0]} if name else {}
        try:
            sink(**{**options, **extra})
        except ValidationError:
            continue
        return str(yaml.safe_dump({"sinks": [{**options, **extra}]}, sort_keys=False))
    raise ValueError(f"the examples of {sink.__name__} make no sink")
