"""Webhooks: whom the API server calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from detector.event import Event, ObjectRef
from detector.fields.body import dig, text
from detector.fields.facts import Hook
from detector.fields.network import admission_webhooks, conversion_webhooks, target_of, webhook_targets
from detector.memory.bodies import KINDS, after, created_at, name_of
from detector.memory.risk import few
from detector.memory.subject import WRITES, Places, Subject, begun, key_of
from detector.memory.table import Table

SIZE = 1_000
MOST = 32
"""Targets kept of one configuration."""
GROUPS = {
    "validatingwebhookconfigurations": "admissionregistration.k8s.io",
    "mutatingwebhookconfigurations": "admissionregistration.k8s.io",
    "customresourcedefinitions": "apiextensions.k8s.io",
}
_RESOURCES = {KINDS[resource]: resource for resource in GROUPS}


class Hooks(Subject):
    """Knows webhook configurations by resource and name."""

    teaches: ClassVar[Places] = {(group, resource): WRITES for resource, group in GROUPS.items()}

    def __init__(self) -> None:
        self.table = Table(SIZE, Hook)
        super().__init__(hooks=self.table)

    def get(self, resource: str | None, name: str | None) -> Hook | None:
        """Give the configuration of a resource such as mutatingwebhookconfigurations."""
        return self.table.get(key_of(resource, name))

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a configuration."""
        key = key_of(ref.resource, name_of(event, ref))
        if event.verb == "delete":
            self.table.pop(key)
            return
        known, body = self.table.get(key), after(event)
        targets = _targets(body) if body is not None else _patched(event, known)
        self.table.learn(key, Hook(**begun(event, body, known, now), targets=targets), now)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a configuration of a dump."""
        resource, name = _RESOURCES.get(str(body.get("kind"))), text(dig(body, "metadata", "name"))
        if resource and name:
            hook = Hook(at=now, created_at=created_at(body, now), targets=_targets(body))
            self.table.seed(key_of(resource, name), hook)


def _targets(body: dict[str, Any]) -> tuple[str, ...]:
    return _written([*admission_webhooks(body), *conversion_webhooks(body)])


def _patched(event: Event, known: Hook | None) -> tuple[str, ...] | None:
    """Give the targets after a write whose record has no whole configuration: those that it may call."""
    stated: list[dict[str, Any]] | None = webhook_targets(event)
    if stated is None or known is None or known.targets is None:
        return None
    return few((*known.targets, *_written(stated)), MOST)


def _written(hooks: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    return few((target for hook in hooks if (target := target_of(hook))), MOST)
