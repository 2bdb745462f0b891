"""What tests of delivery need: alerts, time that is not waited for, a store to look into, a scripted sink."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from detector.event import SECOND
from detector.finding import Alert, Level
from detector.sinks.base import Clock, Failure, Mode, Sink
from detector.sinks.settings import SinkSettings
from detector.store.dead_letters import DeadLetter
from detector.store.deliveries import Delivery, Message, Terms
from detector.store.state import State
from tests.report.making import START
from tests.report.making import alert as closed_alert

HOUR = 3600
FOREVER = 1 << 62
USUAL, REPLACES = Terms(), Terms(replaces=True)


def alert(number: int = 0, level: Level = Level.high, **attributes: Any) -> Alert:
    """Make an alert that was just opened."""
    first = {"revision": 1, "status": "open", "change": "opened", "level": level}
    return msgspec.structs.replace(closed_alert(number, Level.critical), **{**first, **attributes})


class FakeClock:
    """Time that passes when everybody waits for it: to the moment the first of them waits for."""

    def __init__(self) -> None:
        self.time = 0.0
        self._deadlines: list[float] = []

    def now(self) -> int:
        return START + int(self.time * SECOND)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        deadline = self.time + seconds
        self._deadlines.append(deadline)
        try:
            while self.time < deadline:
                await asyncio.sleep(0.0005)  # sockets and threads get on meanwhile
                if deadline == min(self._deadlines):
                    self.time = max(self.time, deadline)
        finally:
            self._deadlines.remove(deadline)


class Store(State):
    """A store on the disk, with an eye on what the outbox does to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "state.db", clock=lambda: self.time)
        self.time = START
        self.offset = 0
        self.puts_off: list[tuple[int, int, str]] = []
        self.refuses: list[Exception] = []
        """What the next writes fail with."""
        self.misreads: list[Exception] = []
        """What the next readings fail with."""

    def add(self, sink: str, *alerts: Alert, at: int = START, terms: Terms = USUAL) -> None:
        """Have alerts wait for a sink since a time."""
        self.time, self.offset = at, self.offset + 1
        self.emit(self.offset, alerts, [Message(sink, place, terms) for place in range(len(alerts))]).result(20)

    def due(self, sink: str, now: int, limit: int) -> list[Delivery]:
        if self.misreads:
            raise self.misreads.pop()
        return super().due(sink, now, limit)

    def delivered(self, ids: Sequence[int]) -> Future[None]:
        return self._refused() or super().delivered(ids)

    def retry(self, ids: Sequence[int], at: int, error: str) -> Future[None]:
        self.puts_off += [(number, at, error) for number in ids]
        return self._refused() or super().retry(ids, at, error)

    def bury(self, ids: Sequence[int], error: str) -> Future[None]:
        return self._refused() or super().bury(ids, error)

    def _refused(self) -> Future[None] | None:
        if not self.refuses:
            return None
        future: Future[None] = Future()
        future.set_exception(self.refuses.pop())
        return future

    @property
    def waiting(self) -> list[Delivery]:
        """What waits, for whatever sink and time."""
        return [row for sink in self.outbox_depth() for row in super(Store, self).due(sink, FOREVER, 100_000)]

    @property
    def buried(self) -> list[DeadLetter]:
        """What was given up."""
        return self.dead_letters("delivery", 100_000)


Answer = Callable[[Sequence[Alert]], Awaitable[list[Failure]]]


class Scripted(Sink):
    """A sink that does what a test says, and remembers what it was sent."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def send(self, alerts: Sequence[Alert]) -> list[Failure]:
        self.script.asked.append([(one.id, one.revision) for one in alerts])
        failures = await self.script.answer(alerts)
        lost = {failure.place for failure in failures}
        self.script.got += [(one.id, one.revision) for place, one in enumerate(alerts) if place not in lost]
        return failures

    async def close(self) -> None:
        self.script.closed += 1
        if self.script.close_raises:
            raise OSError("stuck")


async def yes(alerts: Sequence[Alert]) -> list[Failure]:
    return []


@dataclass
class Script:
    """What a scripted sink does, and what was seen of it."""

    answer: Answer = yes
    asked: list[list[tuple[str, int]]] = field(default_factory=list)
    got: list[tuple[str, int]] = field(default_factory=list)
    closed: int = 0
    close_raises: bool = False


SCRIPTS: dict[str, Script] = {}


class AppendSettings(SinkSettings):
    """Options of a scripted sink."""

    mode: ClassVar[Mode] = "append"
    type: Literal["scripted"] = "scripted"

    def open(self, clock: Clock) -> Sink:
        return Scripted(SCRIPTS[self.name])


class UpsertSettings(AppendSettings):
    mode: ClassVar[Mode] = "upsert"


def scripted(name: str = "a", answer: Answer = yes) -> Script:
    """Script the sink of that name."""
    script = SCRIPTS[name] = Script(answer)
    return script


async def until(done: Callable[[], object]) -> None:
    """Wait until something holds; a test that waits for ever fails by its time-out."""
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.001)


def messages(caplog: Any) -> str:
    """Give all that was logged."""
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.INFO)
