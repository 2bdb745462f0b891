"""CRI log lines, as a container runtime writes them: ``<time> stdout|stderr P|F <text>``.

The runtime splits lines at 16 KiB: parts tagged ``P``, then a last one tagged ``F``
(https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md).
"""

from __future__ import annotations

import re

from detector.formats.wrappings.base import Example, Line, Wrapping

_LINE = re.compile(rb"\d{4}-\d\d-\d\dT\S{1,40} (stdout|stderr) ([PF])(?::\S{0,40})?(?: (.*))?", re.DOTALL)


def strip(raw: bytes) -> Line | None:
    """Give the text of a CRI line and whether it is continued."""
    found = _LINE.fullmatch(raw)
    return found and Line(found[3] or b"", found[2] == b"P", found[1])


WRAPPING = Wrapping(
    name="cri",
    order=10,
    strip=strip,
    examples=(
        Example(
            b'2026-03-02T09:00:00.123456789Z stdout F {"kind":"Event","apiVersion":"audit.k8s.io/v1",'
            b'"auditID":"a1","stage":"ResponseComplete","verb":"get"}',
            1,
        ),
        Example(b'2026-03-02T09:00:00.123456789Z stdout P {"kind":"Event","apiVer', 0, rejected=1),
    ),
)
