"""Workloads: who last changed what their pods run, what that risks, and what they belong to."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from detector.event import Event, ObjectRef
from detector.fields.body import dig, text
from detector.fields.facts import Workload
from detector.fields.pod import PLACES
from detector.fields.request import MOST_PATHS, patch_paths
from detector.memory.bodies import KINDS, after, controller_of, created_at, name_of
from detector.memory.risk import account_of, digest, few, registries_of, risk_of
from detector.memory.subject import WRITES, Places, Subject, author, begun, by_itself, key_of, shown
from detector.memory.table import Table

SIZE = 20_000
GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "statefulsets": "apps",
    "daemonsets": "apps",
    "jobs": "batch",
    "cronjobs": "batch",
    "replicationcontrollers": "",
}
RESOURCES = {KINDS[resource]: resource for resource in GROUPS}


class Workloads(Subject):
    """Knows workloads by kind, namespace and name."""

    teaches: ClassVar[Places] = {(group, resource): WRITES for resource, group in GROUPS.items()}

    def __init__(self) -> None:
        self.table = Table(SIZE, Workload)
        super().__init__(workloads=self.table)

    def get(self, kind: str | None, namespace: str | None, name: str | None) -> Workload | None:
        """Give a workload."""
        return self.table.get(key_of(kind, namespace, name))

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a workload."""
        name = name_of(event, ref)
        if name is None:
            return
        kind = KINDS[ref.resource or ""]
        key = key_of(kind, ref.namespace, name)
        if event.verb == "delete":
            self.table.pop(key)
            return
        known = self.table.get(key) if event.verb != "create" else None
        value = self._new(event, ref, now) if known is None else _changed(event, ref, known)
        self.table.learn(key, value, now)

    def _new(self, event: Event, ref: ObjectRef, now: int) -> Workload:
        """Make what is known of a workload that was just created, or is heard of for the first time."""
        body, owner, changed_by = after(event), None, author(event)
        if by_itself(event):
            owner, changed_by = self.behind(body, ref.namespace)
        elif not _may_change(event):
            changed_by = None
        return Workload(
            **begun(event, body, None, now),
            owner=owner or f"{KINDS[ref.resource or '']}/{shown(name_of(event, ref))}",
            changed_by=changed_by,
            **_template(ref.resource, body),
        )

    def behind(self, body: dict[str, Any] | None, namespace: str | None) -> tuple[str | None, str | None]:
        """Give the workload that an object belongs to in the end, and who last changed its template."""
        controller = controller_of(body)
        if controller is None:
            return None, None
        known = self.get(controller[0], namespace, controller[1])
        if known is None:
            return shown("/".join(controller)), None
        return known.owner, known.changed_by

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a workload of a dump."""
        kind, metadata = str(body.get("kind")), body.get("metadata")
        namespace, name = text(dig(metadata, "namespace")), text(dig(metadata, "name"))
        if kind in RESOURCES and name:
            owner, _ = self.behind(body, namespace)
            facts = _template(RESOURCES[kind], body)
            value = Workload(at=now, created_at=created_at(body, now), owner=owner or f"{kind}/{shown(name)}", **facts)
            self.table.seed(key_of(kind, namespace, name), value)


def _changed(event: Event, ref: ObjectRef, known: Workload) -> Workload:
    """Give what is known of a workload after a write, which may be to its template or not."""
    quiet = by_itself(event) or not _may_change(event)
    if quiet and known.template is not None:
        return known
    facts = _template(ref.resource, after(event))
    if quiet or (facts and facts["template"] == known.template):
        return msgspec.structs.replace(known, **facts)
    if facts:
        facts["registries"] = few((*known.registries, *facts["registries"]))
    return msgspec.structs.replace(known, changed_by=author(event), **(facts or _UNSEEN))


_UNSEEN: dict[str, Any] = {"template": None, "service_account": None, "risk": None}
"""What is known of a template that was changed out of sight."""


def _template(resource: str | None, body: dict[str, Any] | None) -> dict[str, Any]:
    """Read the pod template of a whole workload; nothing where there is none to read."""
    place = PLACES[resource or ""]
    spec = dig(body, *place)
    if not isinstance(spec, dict) or not isinstance(spec.get("containers"), list):
        return {}
    return {
        "template": digest(dig(body, *place[:-1])),
        "service_account": shown(account_of(spec)),
        "risk": risk_of(spec),
        "registries": registries_of(spec),
    }


def _may_change(event: Event) -> bool:
    """Tell whether a write may change the pod template, as far as the request tells."""
    paths: list[str] | None = patch_paths(event)
    if paths is None or len(paths) >= MOST_PATHS:
        return True
    return any(path == "spec" or path.startswith(("spec.template", "spec.jobTemplate")) for path in paths)
