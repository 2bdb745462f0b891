"""``audit.k8s.io`` EventList, v1 and v1beta1: the body of the audit webhook. Its items carry no kind of their own.

A ``v1`` List (``kubectl``, hand-made exports) of audit events is taken too; other lists are refused item by item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.formats.wrappings.base import SKIP, Example, Part, Wrapping, items


def unwrap(value: Mapping[str, Any]) -> list[Part] | None:
    """Give the items of a Kubernetes list."""
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in value:
        return None
    return [SKIP] if value["items"] is None else items(value["items"])


_ITEM = b'{"level":"Metadata","auditID":"a1","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list"}'

WRAPPING = Wrapping(
    name="eventlist",
    order=10,
    unwrap=unwrap,
    examples=(
        Example(
            b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b,%b]}' % (_ITEM, _ITEM), 2
        ),
        Example(b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1beta1","metadata":{},"items":[%b]}' % _ITEM, 1),
        Example(b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[]}', 0, skipped=1),
    ),
)
