"""CSV with the event as JSON in one column, as CloudWatch Logs Insights exports a query (RFC 4180).

``@timestamp,@message``, then rows such as ``2026-03-02 09:00:00.000,"{""kind"":""Event"",…}"``. Columns may be any,
in any order. Of several with JSON the longest is taken: the others are extracts of it. Rows of other EKS components
are told by ``@logStream`` and skipped. A row is one line, as the API server's JSON is.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_ExportQueryResults.html
"""

from __future__ import annotations

import re

from detector.formats.wrappings.base import Example, Line, Wrapping
from detector.formats.wrappings.cloudwatch import OTHER_STREAMS

MESSAGE = b"@message"
MAX_CELLS = 1000
_FOREIGN = tuple(name.encode() for name in OTHER_STREAMS)
_PROMISING = re.compile(b"|".join([rb'"\{', MESSAGE, *_FOREIGN]))
_CELL = re.compile(rb'(?:"((?:[^"]++|"")*+)"|([^",]*+))(?:,|\Z)')


def strip(raw: bytes) -> Line | None:
    """Give the JSON of a row; an empty line for the header and for rows of other components."""
    cells = _cells(raw) if _PROMISING.search(raw) else []
    if MESSAGE in cells:
        return Line(b"", table=True)
    if len(cells) > 1 and any(cell.startswith(_FOREIGN) for cell in cells):
        return Line(b"")
    events = [cell for cell in cells if cell.startswith(b"{")]
    return Line(max(events, key=len)) if events else None


def _cells(raw: bytes) -> list[bytes]:
    """Give the cells of a row; none when it is no CSV or has more than `MAX_CELLS`."""
    cells: list[bytes] = []
    position = 0
    while position < len(raw):
        found = _CELL.match(raw, position)
        if found is None or len(cells) == MAX_CELLS:
            return []
        cells.append(found[2] if found[1] is None else found[1].replace(b'""', b'"'))
        position = found.end()
    return cells


_EVENT = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"}'
_TEXT = b'"' + _EVENT.replace(b'"', b'""') + b'"'

WRAPPING = Wrapping(
    name="csv",
    order=20,
    strip=strip,
    examples=(
        Example(b"2026-03-02 09:00:00.000," + _TEXT, 1),
        Example(_TEXT + b',"2026-03-02 09:00:00.000"', 1),
        Example(b'kube-apiserver-audit-0a1b,"{""username"":""bob""}",' + _TEXT + b",123456789012:/aws/eks/prod", 1),
        Example(b"@timestamp,@message", 0, skipped=1),
        Example(b"kube-scheduler-0a1b,2026-03-02 09:00:00.000,I0302 09:00:00 scheduled", 0, skipped=1),
        Example(b"2026-03-02 09:00:00.000," + _TEXT[:60], 0, rejected=1),
    ),
)
