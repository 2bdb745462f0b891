"""What several tests need: small events, small rule sets, and a fold with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import yaml

from detector.event import EPOCH, Event
from detector.fold import Fold
from detector.formats import Batch, decode_event
from detector.record import Record, Rules
from detector.sigma.selftest import START, filled_in
from detector.sigma.source import RuleFile

LOGSOURCE = {"product": "kubernetes", "service": "audit"}


def event(number: int = 0, *, at: float = 0.0, **attributes: Any) -> Event:
    """Make an event ``at`` seconds after the start of all tests."""
    return decode_event(raw(number, at=at, **attributes))


def raw(number: int = 0, *, at: float = 0.0, **attributes: Any) -> bytes:
    """Give the JSON of `event`."""
    moment = (START + timedelta(seconds=at)).isoformat()
    return orjson.dumps(filled_in(attributes, number, moment))


def seconds(time: int) -> float:
    """Give a time of the fold as seconds after the start of all tests."""
    return time / 1e6 - (START - EPOCH).total_seconds()


def rule(title: str, detection: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """Give a rule; without a detection it holds for every secret that is read."""
    body = detection or {"sel": {"objectRef.resource": "secrets", "verb": "get"}, "condition": "sel"}
    return {"title": title, "name": title.replace(" ", "_"), "logsource": LOGSOURCE, "detection": body, **keys}


def correlation(title: str, kind: str, rules: list[str], condition: Any = None, **keys: Any) -> dict[str, Any]:
    """Give a correlation within ten seconds, by actor unless said otherwise."""
    body = {"type": kind, "rules": rules, "timespan": "10s", "group-by": ["actor"], **keys}
    if condition is not None:
        body["condition"] = condition
    return {"title": title, "correlation": body, "level": "high"}


def rule_file(*documents: dict[str, Any], path: str = "test.yml") -> RuleFile:
    """Make a rule file of some documents."""
    return RuleFile(path, yaml.safe_dump_all(documents))


def fold_with(*documents: dict[str, Any]) -> Fold:
    """Make a fold whose first record brought these rules."""
    fold = Fold()
    fold.fold(Record(0, Rules((rule_file(*documents),))))
    return fold


def secret(number: int = 0, *, at: float = 0.0, name: str = "db", **attributes: Any) -> Event:
    """Make an event in which Jane reads a secret."""
    ref = {"resource": "secrets", "namespace": "prod", "name": name, "apiVersion": "v1"}
    return event(number, at=at, **{"verb": "get", "objectRef": ref, **attributes})


def batch(*events: Event) -> Batch:
    """Put events into a batch."""
    return Batch(events=list(events))


def time_at(at: float) -> int:
    """Give the time ``at`` seconds after the start of all tests, as the fold counts it."""
    return int(START.timestamp() * 1e6 + at * 1e6)
