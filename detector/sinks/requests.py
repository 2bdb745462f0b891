"""Batches that take several requests: what became of each alert when only some of them succeed."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

from detector.sinks.base import Failure, RefusedError, RetryError

Places = Sequence[int]
"""Places of alerts in a batch."""


async def in_groups(groups: Iterable[Places], post: Callable[[Places], Awaitable[list[Failure]]]) -> list[Failure]:
    """Send groups of alerts one after the other, and the halves of one that is refused.

    ``post`` gives the alerts of its group that were not delivered, or raises RetryError or RefusedError for all of
    them. Gives the alerts not delivered: after a RetryError that is the rest. Raises RetryError where nothing was
    answered before it.
    """
    waiting, failures, answered = deque(groups), list[Failure](), False
    while waiting:
        places = waiting.popleft()
        try:
            failures += await post(places)
            answered = True
        except RefusedError as error:
            answered = True
            if len(places) == 1:
                failures.append(Failure(places[0], error.reason, permanent=True))
            else:
                middle = len(places) // 2
                waiting.extendleft((places[middle:], places[:middle]))
        except RetryError as error:
            if not answered:
                raise
            left = chain(places, *waiting)
            return failures + [Failure(place, error.reason, permanent=False) for place in left]
    return failures
