"""Pods: what they may reach outside themselves, as whom they run, and who is behind them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from detector.event import Event, ObjectRef
from detector.fields.actor import actor_kind
from detector.fields.body import dig, text
from detector.fields.facts import Pod, Risk
from detector.fields.pod import pod_specs
from detector.memory.bodies import after, answer_kind, created_at, name_of
from detector.memory.risk import account_of, both, clouded, risk_of
from detector.memory.subject import WRITES, Places, Subject, author, begun, by_itself, key_of, shown
from detector.memory.table import Table
from detector.memory.workloads import Workloads

SIZE = 20_000
_CHANGES = ("update", "patch")


class Pods(Subject):
    """Knows pods by namespace and name.

    The containers of a pod never change but for those that are added to it, so a write whose bodies are missing leaves
    most of what is known. A deletecollection names nobody: what is known of a pod that is gone harms nothing.
    """

    teaches: ClassVar[Places] = {
        ("", "pods"): WRITES,
        ("", "pods/status"): _CHANGES,
        ("", "pods/ephemeralcontainers"): _CHANGES,
        ("", "pods/binding"): ("create",),
    }

    def __init__(self, workloads: Workloads) -> None:
        self.table = Table(SIZE, Pod)
        super().__init__(pods=self.table)
        self._workloads = workloads

    def get(self, namespace: str | None, name: str | None) -> Pod | None:
        """Give a pod."""
        return self.table.get(key_of(namespace, name))

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a pod, or what a node or the scheduler says of it."""
        name = name_of(event, ref)
        if name is None:
            return
        key = key_of(ref.namespace, name)
        if event.verb == "delete":
            if _is_final(event):
                self.table.pop(key)
        elif event.verb == "create" and not ref.subresource:
            self.table.learn(key, self._created(event, ref, now), now)
        elif (value := self._heard(event, ref.subresource, self.table.get(key), now)) is not None:
            self.table.learn(key, value, now)

    def _created(self, event: Event, ref: ObjectRef, now: int) -> Pod:
        body = after(event)
        owner, changed_by = None, author(event)
        if by_itself(event):
            owner, changed_by = self._workloads.behind(body, ref.namespace)
        return Pod(**begun(event, body, None, now), owner=owner, changed_by=changed_by, **_spec_of(body))

    def _heard(self, event: Event, part: str | None, known: Pod | None, now: int) -> Pod | None:
        """Give what is known after a pod was heard of again; None when that is nothing."""
        if part == "binding":
            node = shown(text(dig(event.request, "target", "name")))
            return known and msgspec.structs.replace(known, node=node or known.node)
        if part == "ephemeralcontainers" and known is not None:
            return msgspec.structs.replace(known, changed_by=author(event), risk=_with_more(event, known.risk))
        if known is None or known.risk is None:
            return self._found(after(event), known, now)
        return known

    def _found(self, body: dict[str, Any] | None, known: Pod | None, now: int) -> Pod | None:
        """Give what the body of a pod tells that was there before, or whose body nobody had seen."""
        spec = _spec_of(body)
        if not spec:
            return known
        if known is not None:
            return msgspec.structs.replace(known, **spec)
        metadata = body.get("metadata") if body else None
        owner, _ = self._workloads.behind(body, text(dig(metadata, "namespace")))
        return Pod(at=now, created_at=created_at(body, now), owner=owner, **spec)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a pod of a dump."""
        name = text(dig(body, "metadata", "name"))
        pod = self._found(body, None, now) if body.get("kind") == "Pod" and name else None
        if pod is not None:
            self.table.seed(key_of(text(dig(body, "metadata", "namespace")), name), pod)


def _spec_of(body: dict[str, Any] | None) -> dict[str, Any]:
    """Read the spec of a whole pod; nothing where there is none to read."""
    spec = dig(body, "spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("containers"), list):
        return {}
    read = {"risk": risk_of(spec), "service_account": shown(account_of(spec))}
    node = shown(text(spec.get("nodeName")))
    return {**read, "node": node} if node else read


def _with_more(event: Event, risk: Risk | None) -> Risk | None:
    """Give the risk of a pod after ephemeral containers were added."""
    whole = _spec_of(after(event))
    if whole:
        found: Risk = whole["risk"]
        return found
    if risk is None:
        return None
    specs: list[dict[str, Any]] | None = pod_specs(event)
    return both(risk, risk_of(specs[0])) if specs else clouded(risk)


def _is_final(event: Event) -> bool:
    """Tell whether a delete ends a pod at once. Others let it run for its grace period, and be entered that long."""
    if actor_kind(event) == "node":
        return True
    at_once: bool = dig(event.request, "gracePeriodSeconds") == 0
    return at_once or answer_kind(event) == "Status"
