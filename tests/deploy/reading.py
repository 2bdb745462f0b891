"""Reading what lies in deploy/: kustomizations, PromQL, unit files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import promql_parser
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """Give the objects of a kustomization, as far as ours use kustomize: resources, labels, images, JSON patches.

    `test_kubernetes.py` compares with kustomize itself where there is one.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    rendered: list[Manifest] = []
    for name in kustomization["resources"]:
        path = folder / name
        rendered += render(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for entry in kustomization.get("configMapGenerator", []):
        data = {name: (folder / name).read_text() for name in entry["files"]}
        rendered.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": entry["name"]}, "data": data})
    for manifest in rendered:
        if manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = kustomization["namespace"]
        for labels in kustomization.get("labels", []):
            manifest["metadata"].setdefault("labels", {}).update(labels["pairs"])
    for patch in kustomization.get("patches", []):
        for operation in yaml.safe_load((folder / patch["path"]).read_text()):
            apply(operation, the(rendered, patch["target"]["kind"]))
    for image in kustomization.get("images", []):
        _name_image(pod_spec(rendered), image)
    return rendered


def _name_image(spec: Manifest, image: Manifest) -> None:
    for container in spec["containers"]:
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"


def apply(operation: Manifest, manifest: Manifest) -> None:
    """Apply one operation of a JSON patch (RFC 6902): add, replace or remove."""
    *trail, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place: Any = manifest
    for part in trail:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if isinstance(place, list) and last == "-":
        place.append(operation["value"])
        return
    key = int(last) if isinstance(place, list) else last
    if operation["op"] != "add":
        assert key in place if isinstance(place, dict) else place[key], operation["path"]
    if operation["op"] == "remove":
        del place[key]
    else:
        place[key] = operation["value"]


def the(manifests: list[Manifest], kind: str) -> Manifest:
    """Give the one object of a kind."""
    (found,) = [one for one in manifests if one["kind"] == kind]
    return found


def pod_spec(manifests: list[Manifest]) -> Manifest:
    """Give the pod spec of the one workload."""
    spec: Manifest = the(manifests, "StatefulSet")["spec"]["template"]["spec"]
    return spec


def asked(expression: str) -> dict[str, dict[str, str]]:
    """Parse PromQL; gives each metric that it names, with the labels it asks about and the values it asks for.

    Labels that it groups by have no value, and count for all of its metrics. Raises ValueError when it is no PromQL.
    """
    metrics: dict[str, dict[str, str]] = {}
    groups: dict[str, str] = {}

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            labels = {one.name: one.value for one in node.matchers.matchers}
            metrics.setdefault(node.name or "", {}).update(labels)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            groups.update(dict.fromkeys(node.modifier.labels, ""))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return {name: groups | labels for name, labels in metrics.items()}
