"""A line of text with the event at its end, as many tools print them.

* ``oc adm node-logs``: ``<host> {json}``
* CloudWatch's S3 export task: ``<time> {json}``
* syslog (RFC 3164, RFC 5424): ``<110>1 <time> <host> <app> - - - {json}``
* ``kubectl logs --prefix``, ``stern`` and the like
"""

from __future__ import annotations

from detector.formats.wrappings.base import Example, Line, Wrapping

MAX_PREFIX = 1024
"""Bytes searched for the beginning of the JSON."""


def strip(raw: bytes) -> Line | None:
    """Give the line from its first brace on."""
    start = raw.find(b"{", 0, MAX_PREFIX)
    return Line(raw[start:]) if start > 0 else None


_EVENT = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"}'

WRAPPING = Wrapping(
    name="prefixed",
    order=90,
    strip=strip,
    examples=(
        Example(b"ip-10-0-1-2.ec2.internal " + _EVENT, 1),
        Example(b"2026-03-02T09:00:00.000Z " + _EVENT, 1),
        Example(b'<110>1 2026-03-02T09:00:00Z cp-1 kube-apiserver - - [x@1 k="v"] ' + _EVENT, 1),
        Example(b"<110>Mar  2 09:00:00 cp-1 audit: " + _EVENT, 1),
        Example(b"I0302 09:00:00.000000       1 trace.go:236] no event here", 0, rejected=1),
    ),
)
