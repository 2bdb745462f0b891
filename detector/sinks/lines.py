"""Alerts as lines of JSON, and writing them so that a line is whole or is not counted as written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from detector.encodings import ENCODINGS
from detector.encodings.jsontext import dumps, printable
from detector.finding import Alert

JsonEncoding = Literal["native", "ecs", "ocsf", "falco"]
"""The encodings that are objects of JSON for any reader."""


def lines(alerts: Sequence[Alert], encoding: JsonEncoding) -> bytes:
    """Give one line of JSON for each alert, in printable ASCII: a terminal that shows it must not obey it."""
    encode = ENCODINGS[encoding].encode
    return b"".join(printable(dumps(encode(alert))) + b"\n" for alert in alerts)


class LineWriter:
    """Writes whole lines to a descriptor; ``torn``: what was written before ends in the middle of one."""

    def __init__(self, *, torn: bool = False) -> None:
        self._torn = torn

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of it, on a new line. Raises OSError."""
        left = b"\n" + data if self._torn else data
        while left:
            written = os.write(descriptor, left)
            self._torn = written < len(left)
            left = left[written:]
