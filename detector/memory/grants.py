"""Grants: what a binding gave, until it is used for the first time."""

from __future__ import annotations

from typing import Any, ClassVar

from detector.event import Event
from detector.fields.body import text
from detector.fields.facts import Grant
from detector.fields.memory_grants import REASON
from detector.memory.subject import Subject, author
from detector.memory.table import Table

SIZE = 10_000
LONGEST_REASON = 1_024
"""Longer ones name things so long that nobody calls anything so."""


class Grants(Subject):
    """Knows grants by the reason that the authorizer will give for the first request they allow."""

    every: ClassVar[bool] = True

    def __init__(self) -> None:
        self.table = Table(SIZE, Grant)
        super().__init__(grants=self.table)

    def get(self, reason: str) -> Grant | None:
        """Give a grant that is not used yet."""
        return self.table.get((reason,))

    def given(self, reason: str, event: Event, now: int) -> None:
        """Take in that the event's actor made a binding give something."""
        if len(reason) <= LONGEST_REASON:
            self.table.learn((reason,), Grant(now, author(event)), now)

    def watch(self, event: Event, now: int) -> None:
        """Take in that a grant is used."""
        if event.annotations is not None and (self.table.established or self.table.probation):
            self.table.pop((event.annotations.get(REASON),))


def reason_of(namespace: str | None, binding: str, role: tuple[str, str], subject: dict[str, Any]) -> str:
    """Write what the authorizer says of a request that a binding allows.

    Source: kubernetes/plugin/pkg/auth/authorizer/rbac/rbac.go and pkg/registry/rbac/validation/rule.go.
    """
    kind, name = text(subject.get("kind")) or "", text(subject.get("name")) or ""
    if kind == "ServiceAccount":
        name = f"{name}/{text(subject.get('namespace')) or namespace or ''}"
    what, given = ("RoleBinding", f"{binding}/{namespace}") if namespace else ("ClusterRoleBinding", binding)
    return f"RBAC: allowed by {what} {_quoted(given)} of {role[0]} {_quoted(role[1])} to {kind} {_quoted(name)}"


def _quoted(name: str) -> str:
    # As Go's %q writes names of printable characters; with others no name is taken for another, at worst for none.
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
