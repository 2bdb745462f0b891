"""Alerts to encode: an ordinary one with something of everything, and hostile ones."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from detector.event import SECOND
from detector.finding import Alert, Level, Reason, RuleInfo

START = 1_772_719_391 * SECOND + 123_456
"""2026-03-05 14:03:11.123456 UTC."""
RULE = RuleInfo(
    id="0f0b6c1e-0000-4000-8000-000000000001",
    title="Rights granted to everybody",
    level=Level.critical,
    description="A binding gives rights to a group that everybody is in.",
    author="redshank",
    answers=("binding-anonymous",),
    tactics=("persistence", "privilege-escalation"),
    techniques=("T1098.006", "T1078"),
    threat_matrix=("MS-TA9019",),
    guide="Authentication and authorization",
    falsepositives=("kubeadm init.",),
    references=("https://attack.mitre.org/techniques/T1098/006/",),
    runbook=("Delete the binding.", "Search for requests by system:anonymous since the binding was made."),
    message="{actor} gave {rbac.role.name} to everybody",
)
SAMPLE: dict[str, Any] = {
    "kind": "Event",
    "auditID": "6f2d0c4e-0000-4000-8000-00000000000a",
    "stage": "ResponseComplete",
    "requestURI": "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings",
    "verb": "create",
    "user": {"username": "jane@example.com", "uid": "u-17", "groups": ["devs", "system:authenticated"]},
    "sourceIPs": ["192.0.2.10"],
    "userAgent": "kubectl/v1.36.0 (linux/amd64)",
    "objectRef": {
        "resource": "rolebindings",
        "namespace": "shop",
        "name": "open-door",
        "apiGroup": "rbac.authorization.k8s.io",
        "apiVersion": "v1",
    },
    "responseStatus": {"code": 201},
}


def alert(**attributes: Any) -> Alert:
    """Make an open alert of level critical, in its second revision."""
    fields: dict[str, Any] = {
        "id": "9c1d2e3f4a5b60718293a4b5c6d7e8f9",
        "revision": 2,
        "status": "open",
        "change": "updated",
        "level": Level.critical,
        "title": RULE.title,
        "rule": RULE,
        "cluster": "prod-eu",
        "actor": "jane@example.com",
        "actor_kind": "human",
        "targets": ("shop/rolebindings/open-door", "clusterrolebindings/open-door"),
        "sources": ("192.0.2.10", "2001:db8::7"),
        "first_seen": START,
        "last_seen": START + 312 * SECOND,
        "count": 7,
        "reasons": (
            Reason("grant", "rbac.role.name", "cluster-admin", "cluster-admin | admin"),
            Reason("to", "rbac.subjects.name", "system:authenticated", "system:authenticated"),
            Reason("value_count", "distinct target", "6 within 60 s", "at least 6"),
        ),
        "audit_ids": ("6f2d0c4e-0000-4000-8000-00000000000a", "6f2d0c4e-0000-4000-8000-00000000000b"),
        "samples": (SAMPLE,),
        "message": "jane@example.com gave cluster-admin to everybody",
    }
    return Alert(**{**fields, **attributes})


def closed(**attributes: Any) -> Alert:
    """Make the last revision of `alert`."""
    return alert(**{"revision": 3, "status": "closed", "change": "closed", **attributes})


MANY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
"""Alerts are large and slow to make."""
HUGE = 10_000
"""Characters of texts that are not repeated."""
HOSTILE = [
    "",
    "\x00\x07\x1b[2J\x7f\x9b",
    "\u202egpj.exe\u2066\u200b\ufeff\u2028",
    "a|b\\|c=d\\=e\\",
    "\r\n<34>1 2026-03-05T14:03:11Z host su - - - forged",
    "<!channel> <!here> <@U012> <https://evil.example|click> *b* _i_ ~s~ `c` ```d``` :tada: &lt;!channel&gt;",
    "[click](https://evil.example) **b** # h\n- item\n> q ![i](https://evil.example/i.png) <at>all</at>",
    "${x} {{DATE(2026-03-05T14:03:11Z)}} @{triggerBody()}",
    '"]\\ [evil id="1"]',
    "\ud800 \udfff lone",
    "🦊" * 300,
    "x" * 150_000,
    "\x00" * 150_000,
    '"\\&<>`' * 100_000,
]
TEXTS = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=()), max_size=40)
"""Texts as a client may choose them, lone surrogates included."""
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 80), 1 << 80) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
REFERENCE = st.fixed_dictionaries({}, optional=dict.fromkeys(("resource", "namespace", "name", "subresource"), VALUES))
SAMPLES = st.fixed_dictionaries(
    {},
    optional={
        "objectRef": REFERENCE | VALUES,
        "user": st.fixed_dictionaries({}, optional={"username": VALUES, "uid": VALUES, "groups": VALUES}) | VALUES,
        "responseStatus": st.fixed_dictionaries({}, optional={"code": VALUES}) | VALUES,
        "requestObject": VALUES,
        **dict.fromkeys(("verb", "requestURI", "userAgent", "auditID", "stage", "sourceIPs"), VALUES),
    },
)


def listed(longest: int) -> st.SearchStrategy[tuple[str, ...]]:
    """Give tuples of texts; short ones are repeated up to the longest list that there may be."""
    return st.lists(TEXTS, max_size=4).map(lambda texts: repeated(*texts, times=longest // max(len(texts), 1)))


def repeated(*texts: str, times: int) -> tuple[str, ...]:
    """Repeat texts, unless they are huge."""
    return texts * times if sum(map(len, texts)) < HUGE else texts


RULES = st.builds(
    RuleInfo,
    id=st.just(RULE.id),
    title=TEXTS,
    level=st.sampled_from(Level),
    description=TEXTS,
    tactics=st.sampled_from([RULE.tactics, (), ("no-such-tactic",)]) | listed(8),
    techniques=st.sampled_from([RULE.techniques, ()]) | listed(8),
    threat_matrix=listed(8),
    falsepositives=listed(8),
    references=listed(8),
    runbook=listed(20),
    author=TEXTS,
    guide=TEXTS,
    pack=st.just("core"),
)
ALERTS = st.builds(
    alert,
    revision=st.integers(1, 1 << 40),
    status=st.sampled_from(["open", "closed"]),
    change=st.sampled_from(["opened", "raised", "updated", "closed"]),
    level=st.sampled_from(Level),
    title=TEXTS,
    rule=RULES,
    cluster=TEXTS,
    actor=TEXTS,
    actor_kind=st.sampled_from(["human", "serviceaccount", ""]),
    targets=listed(20),
    sources=listed(20),
    first_seen=st.integers(-62_135_596_800 * SECOND, START),
    last_seen=st.integers(START, 253_402_300_799 * SECOND),
    count=st.integers(1, 1 << 40),
    reasons=st.lists(st.builds(Reason, TEXTS, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple),
    audit_ids=listed(256),
    samples=st.lists(SAMPLES, max_size=3).map(tuple),
    message=TEXTS,
)
"""Alerts as an attacker would have them: everything but ids, levels and numbers is theirs."""


def copied(one: Alert) -> Alert:
    """Give an alert that shares nothing with another but says the same."""
    plain: dict[str, Any] = msgspec.to_builtins(one)
    return msgspec.convert(plain, Alert)
