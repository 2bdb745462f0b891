"""Rules of Falco for the tests, converted and asked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from detector.errors import RuleError
from detector.event import Event
from detector.formats import decode_event
from detector.sigma.falco import Conversion, convert
from detector.sigma.load import load_all
from detector.sigma.predicate import holds
from detector.sigma.rule import Rule
from detector.sigma.source import RuleFile, read_file
from tests.support import event, raw

HERE = Path(__file__).parent
RULES, LOCAL = HERE / "rules.yaml", HERE / "local.yaml"
COMPLETE: dict[str, Any] = {"desc": "d", "output": "o", "priority": "WARNING", "source": "k8s_audit"}


@lru_cache
def imported(*paths: Path) -> Conversion:
    """Convert files of this folder."""
    return convert([read_file(path) for path in paths or (RULES,)])


def converted(*items: dict[str, Any]) -> Conversion:
    """Convert items of a rules file; a rule's other keys are filled in."""
    whole = [{**COMPLETE, **item} if "rule" in item and "override" not in item else item for item in items]
    return convert([RuleFile("own.yaml", orjson.dumps(whole).decode())])


def one(condition: str, *items: dict[str, Any], **keys: Any) -> Rule:
    """Convert one rule with this condition. Raises RuleError with the reason where it cannot be."""
    conversion = converted(*items, {"rule": "r", "condition": condition, **keys})
    for refused in conversion.refused:
        raise RuleError(refused.reason, refused.path, refused.line, refused.column)
    (made,) = conversion.converted
    return rule_of(made.text)


@lru_cache(maxsize=256)
def rule_of(text: str) -> Rule:
    """Load a converted rule."""
    (loaded,), errors = load_all([RuleFile("made.yml", text)])
    assert not errors
    assert isinstance(loaded.made, Rule)
    return loaded.made


def fired(conversion: Conversion, seen: Event) -> set[str]:
    """Name the rules that hold of an event."""
    return {each.name for each in conversion.converted if holds(rule_of(each.text).predicate, seen)}


def matches(condition: str, seen: Event, *items: dict[str, Any]) -> bool:
    """Tell whether a condition, converted, holds of an event."""
    return holds(one(condition, *items).predicate, seen)


def pod(*containers: dict[str, Any], spec: dict[str, Any] | None = None, **attributes: Any) -> Event:
    """Give the creation of a pod."""
    body = {"spec": {**(spec or {}), "containers": list(containers)}}
    whole = {"verb": "create", "objectRef": {"resource": "pods", "namespace": "shop"}, "requestObject": body}
    return event(**{**whole, **attributes})


def both(**attributes: Any) -> tuple[Event, dict[str, Any]]:
    """Give an event, and the same as JSON."""
    written = raw(**attributes)
    return decode_event(written), orjson.loads(written)
