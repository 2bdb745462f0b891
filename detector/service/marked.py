"""The marked batch of `redshank doctor`: one event that no API server sends, and the alert that comes of it.

The rule in ``rules/operations/doctor.yml`` holds for this user and these URIs only. Each mark is an alert of its own,
so that a test is not lost in the alert of the test before.
"""

from __future__ import annotations

import orjson

from detector.event import Event, rfc3339
from detector.formats import Batch
from detector.version import __version__

USER = "redshank:doctor"
URI = "/redshank/doctor/"
MARKS = tuple(f"{number:02x}" for number in range(256))


def marked_body(mark: str, audit_id: str, now: int) -> bytes:
    """Give the body of a request as an API server would send it at a time (microseconds), with one of `MARKS`."""
    event = {
        "level": "Metadata",
        "auditID": audit_id,
        "stage": "ResponseComplete",
        "requestURI": f"{URI}{mark}",
        "verb": "get",
        "user": {"username": USER, "groups": ["system:authenticated"]},
        "sourceIPs": ["127.0.0.1"],
        "userAgent": f"redshank/{__version__}",
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": rfc3339(now),
        "stageTimestamp": rfc3339(now),
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }
    return orjson.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event]})


def is_marked(batch: Batch) -> bool:
    """Tell whether a batch is of a test: it says nothing of whether API servers send theirs."""
    return len(batch.events) == 1 and _marked(batch.events[0])


def _marked(event: Event) -> bool:
    by_us = event.user is not None and event.user.username == USER
    return by_us and (event.requestURI or "").startswith(URI)
