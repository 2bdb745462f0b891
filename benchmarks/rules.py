"""As many rules as wanted: the built-in ones, and more of the same mix with other values."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from detector.pipeline import rule_files
from detector.sigma.source import RuleFile, documents

KEPT = ("verb", "objectRef.resource", "objectRef.subresource", "objectRef.apiGroup", "key", "outcome", "stage")
"""Fields whose values stay, so that generated rules are bound to the same requests as the originals."""
KEPT_WORDS = ("actor.kind", "effective.kind", "write", "dry_run")
FIRST = frozenset(
    [
        "anonymous-access",
        "anonymous-binding",
        "anonymous-probing",
        "attach-to-pod",
        "bad-tokens",
        "cluster-admin-binding",
        "component-identity-misused",
        "cryptominer",
        "dangerous-capabilities",
        "dangerous-role",
        "doctor",
        "ephemeral-container",
        "exec-burst",
        "exec-cloud-metadata",
        "exec-download-and-run",
        "exec-into-pod",
        "exec-into-system-namespace",
        "exec-reads-credentials",
        "exec-reverse-shell",
        "host-namespaces",
        "host-path",
        "impersonation",
        "kubectl-cp",
        "many-requests-refused",
        "node-proxy",
        "own-rights-enumerated",
        "pod-as-controller",
        "pod-or-service-proxy",
        "port-forward",
        "powerful-role-binding",
        "privileged-container",
        "rbac-change-refused",
        "secret-read-by-field-selector",
        "secrets-denied",
        "secrets-listed-cluster-wide",
        "secrets-listed-in-namespace",
        "secrets-read-by-impersonation",
        "secrets-read-in-bulk",
        "secrets-read-in-bulk-by-service-account",
        "self-grant",
        "sensitive-secret-read",
        "service-account-token-made",
        "system-role-changed",
        "workload-with-suspicious-command",
    ]
)
"""The first rules redshank had, by file: the figures of replay stand on them, however many there are by now."""


def first() -> list[RuleFile]:
    """Give the files of the first rules."""
    return [file for file in rule_files() if Path(file.path).stem in FIRST]


def mix(number: int) -> list[RuleFile]:
    """Give ``number`` rules: the first single-event rules and correlations, then variations of the rules."""
    originals = [document.data for file in first() for document in documents(file)[0]]
    chosen = originals[:number] + list(_variations(originals, number - len(originals)))
    return [RuleFile("generated.yml", yaml.safe_dump_all(chosen))]


def bound(number: int, share: float = 0.9) -> list[RuleFile]:
    """Give rules without keywords, ``share`` of them bound to a resource and a verb, the others to neither."""
    resources = [f"kind{index}s" for index in range(60)] + ["pods", "secrets", "configmaps", "leases", "deployments"]
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    made = []
    for index in range(number):
        selection: dict[str, Any] = {"objectRef.name|startswith": f"name-{index}-"}
        if index % 10 < share * 10:
            place = {"objectRef.resource": resources[index % len(resources)], "verb": verbs[index % len(verbs)]}
            selection = {**place, **selection, "user.username|contains": f"user-{index}"}
        made.append(_rule(f"bound {index}", {"selection": selection, "condition": "selection"}))
    return [RuleFile("bound.yml", yaml.safe_dump_all(made))]


def _rule(title: str, detection: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, title)),
        "logsource": {"product": "kubernetes", "service": "audit"},
        "detection": detection,
        "level": "medium",
    }


def _variations(originals: list[dict[str, Any]], number: int) -> Iterator[dict[str, Any]]:
    rules = [data for data in originals if "detection" in data]
    for index in count():
        if index >= number:
            return
        data = rules[index % len(rules)]
        turn = index // len(rules) + 1
        yield _rule(f"{data['title']} {turn}-{index}", _varied(data["detection"], turn))


def _varied(detection: dict[str, Any], turn: int) -> dict[str, Any]:
    """Give other values; a rule that has none to vary gets a namespace, so that it does not fire as the original."""
    varied = {name: part if name == "condition" else _other(part, turn) for name, part in detection.items()}
    if varied == detection:
        place = {"objectRef.namespace": f"team-{turn}"}
        return {**detection, "place": place, "condition": f"({detection['condition']}) and place"}
    return varied


def _other(value: Any, turn: int, field: str = "") -> Any:
    """Write other values where a rule names things; the fields that place it keep theirs."""
    name = field.split("|", 1)[0]
    if name in KEPT or name in KEPT_WORDS or "|re" in field or "|cidr" in field or "fieldref" in field:
        return value
    if isinstance(value, dict):
        return {key: _other(item, turn, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_other(item, turn, field) for item in value]
    return f"{value}{turn}" if isinstance(value, str) and value else value
