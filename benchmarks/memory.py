"""``python -m benchmarks.memory``: what ten times as many invented names cost in memory, and how long each takes.

Whoever may create objects can invent names without end; so can anybody whose requests are refused. The process takes in
events with names that never come again, in every table of memory, and its size after all of them is compared with its
size after the first tenth. ``--rules`` adds the rules, and with them the groups of correlations and the alerts.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from benchmarks.process import resident
from detector.formats import Batch, decode_event
from detector.pipeline import Detector

MB = 1 << 20
START = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 1_000
RBAC = "rbac.authorization.k8s.io"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--names", type=int, default=100_000, help="after so many the size is 1.00 (a tenth of all)")
    parser.add_argument("--rules", action="store_true", help="with the built-in rules, at a tenth of the speed")
    options = parser.parse_args()
    first = options.names
    detector = Detector.load(packs="core,extended", rules=None if options.rules else ())
    begin = time.process_time()
    before = 0
    for number in range(0, 10 * first, BATCH):
        detector.append(Batch(events=[decode_event(event(one)) for one in range(number, number + BATCH)]))
        done = number + BATCH
        if done % first == 0:
            size = _size()
            before = before or size
            cost = (time.process_time() - begin) / done * 1e6
            print(f"  {done:>12,} names {size / MB:8.0f} MiB {size / before:6.2f} x {cost:8.1f} µs/event")
    print("  " + ", ".join(f"{count:,} {name}" for name, count in detector.fold.cluster("").sizes().items()))


def _size() -> int:
    gc.collect()
    return resident(os.getpid())


def event(number: int) -> bytes:
    """Make an event whose every name is new."""
    name, made = f"name-{number:09}", MAKERS[number % len(MAKERS)]
    moment = (START + timedelta(milliseconds=100 * number)).isoformat()
    record = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": name,
        "stage": "ResponseComplete",
        "requestURI": "/" + name,
        "verb": "create",
        "user": {"username": f"user-{name}", "groups": [f"group-{name}"]},
        "sourceIPs": [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"],
        "userAgent": f"tool-{name}/1",
        "responseStatus": {"code": 201},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
    }
    return orjson.dumps(record | made(name))


def _object(group: str, resource: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    body = {"kind": kind, "metadata": {"name": name, "namespace": name}, **rest}
    ref = {"resource": resource, "apiGroup": group, "namespace": name, "name": name, "apiVersion": "v1"}
    return {"objectRef": ref, "responseObject": body}


def _spec(name: str) -> dict[str, Any]:
    volumes = [{"hostPath": {"path": f"/{name}/{number}"}} for number in range(8)]
    return {"containers": [{"image": f"{name}.example/x"}], "serviceAccountName": name, "volumes": volumes}


def _pod(name: str) -> dict[str, Any]:
    return _object("", "pods", "Pod", name, spec=_spec(name))


def _workload(name: str) -> dict[str, Any]:
    return _object("apps", "deployments", "Deployment", name, spec={"template": {"spec": _spec(name)}})


def _role(name: str) -> dict[str, Any]:
    return _object(RBAC, "roles", "Role", name, rules=[{"verbs": [name], "apiGroups": [name], "resources": [name]}])


def _binding(name: str) -> dict[str, Any]:
    subjects = [{"kind": "User", "name": f"{name}-{number}"} for number in range(10)]
    return _object(RBAC, "rolebindings", "RoleBinding", name, subjects=subjects, roleRef={"kind": "Role", "name": name})


def _namespace(name: str) -> dict[str, Any]:
    return _object("", "namespaces", "Namespace", name)


def _hook(name: str) -> dict[str, Any]:
    hooks = [{"name": name, "clientConfig": {"url": f"https://{name}.example/{number}"}} for number in range(8)]
    return _object(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        name,
        webhooks=hooks,
    )


def _request(name: str) -> dict[str, Any]:
    resource, kind = "certificatesigningrequests", "CertificateSigningRequest"
    return _object("certificates.k8s.io", resource, kind, name, spec={"signerName": name})


def _refused(name: str) -> dict[str, Any]:
    return {**_object("", "secrets", "Status", name), "verb": "get", "responseStatus": {"code": 403}}


def _read(name: str) -> dict[str, Any]:
    return {**_object("", "secrets", "Secret", name), "verb": "get"}


MAKERS = (_pod, _workload, _role, _binding, _namespace, _hook, _request, _refused, _read)


if __name__ == "__main__":
    main()
