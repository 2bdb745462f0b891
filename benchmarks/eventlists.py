"""What an API server posts: EventLists without end, made from a recording; no two of their events are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

EVENTS = 400
"""Events in one body: the most that kube-apiserver sends at its defaults."""
_ID = b'"auditID":"'
_OWN = b'"kind":"Event","apiVersion":"audit.k8s.io/v1",'
"""What a line of a log has and an item of an EventList has not."""
_HOUR = re.compile(rb'"(?:requestReceived|stage)Timestamp":"(\d{4}-\d\d-\d\dT\d\d)')


class EventLists:
    """Bodies with their numbers: turn after turn of a recording, hours apart, so that what closes by time does."""

    def __init__(self, recording: list[bytes], wanted: int) -> None:
        """``wanted``: bodies after which the times of the events have come to the present."""
        items = [line.replace(_OWN, b"", 1) for line in recording]
        hours = sorted({hour for line in recording for hour in _HOUR.findall(line)})
        self._hours = {b'Timestamp":"@%d@' % place: _moment(hour) for place, hour in enumerate(hours)}
        self._bodies = [self._marked(items[at : at + EVENTS], hours) for at in range(0, len(items), EVENTS)]
        self._step = timedelta(hours=len(hours) + 1)
        turns = wanted // len(self._bodies) + 1
        self._before = _moment(hours[-1]) - _now() + self._step * turns
        self._number = 0

    def _marked(self, items: list[bytes], hours: list[bytes]) -> bytes:
        body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b]}\n' % b",".join(items)
        for mark, hour in zip(self._hours, hours, strict=True):
            body = body.replace(b'Timestamp":"' + hour, mark)
        return body

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Go on where it was left. The Audit-IDs of a body begin with its number, see `number_of`."""
        while True:
            turn, place = divmod(self._number, len(self._bodies))
            body = self._bodies[place].replace(_ID, _ID + b"%d-" % self._number)
            for mark, hour in self._hours.items():
                moved = hour - self._before + self._step * turn
                body = body.replace(mark, b'Timestamp":"' + moved.strftime("%Y-%m-%dT%H").encode())
            yield self._number, body
            self._number += 1

    def take(self, count: int) -> list[tuple[int, bytes]]:
        """Give the next so many."""
        return [one for one, _ in zip(self, range(count), strict=False)]


def number_of(audit_ids: list[str]) -> int:
    """Give the number of the last body that events are of."""
    return max(int(name.split("-", 1)[0]) for name in audit_ids)


def _moment(hour: bytes) -> datetime:
    return datetime.strptime(hour.decode(), "%Y-%m-%dT%H").replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
