"""Derived fields: what rules can ask of an event beside its own attributes, one function each.

A derived field is a function of one `Event` under a dotted name; its value is JSON-like (text, number, boolean, None,
dict or list) and is worked out once per event. Rules name derived fields and the event's own attributes alike.
"""

from __future__ import annotations

from detector.fields import (
    actor,
    configmap,
    credentials,
    exposure,
    memory_audit,
    memory_grants,
    memory_identities,
    memory_objects,
    memory_pods,
    memory_powers,
    misuse,
    network,
    pod,
    rbac,
    request,
    uri,
)
from detector.fields.registry import DerivedField, all_fields, derived, field_named, value_of

__all__ = [
    "DerivedField",
    "actor",
    "all_fields",
    "configmap",
    "credentials",
    "derived",
    "exposure",
    "field_named",
    "memory_audit",
    "memory_grants",
    "memory_identities",
    "memory_objects",
    "memory_pods",
    "memory_powers",
    "misuse",
    "network",
    "pod",
    "rbac",
    "request",
    "uri",
    "value_of",
]
