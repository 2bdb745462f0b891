"""What tests of delivery need: alerts, time that does not have to be waited for, a store in memory, a scripted sink."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import msgspec

from detector.event import SECOND
from detector.finding import Alert, Level
from detector.sinks.base import Clock, Failure, Mode, Sink
from detector.sinks.settings import SinkSettings
from tests.report.making import START
from tests.report.making import alert as closed_alert

HOUR = 3600


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


@dataclass
class Row:
    id: int
    sink: str
    alert: Alert
    created_at: int
    due_at: int
    tries: int = 0


@dataclass
class MemoryStore:
    """The outbox of a store, in memory."""

    rows: dict[int, Row] = field(default_factory=dict)
    buried: list[tuple[Row, str]] = field(default_factory=list)
    puts_off: list[tuple[int, int, str]] = field(default_factory=list)
    fails: int = 0
    """So many of the next writes fail."""
    error: Exception | None = None

    def add(self, sink: str, *alerts: Alert, at: int = START) -> None:
        for one in alerts:
            number = len(self.rows) + len(self.buried) + 1000 * len(self.puts_off)
            while number in self.rows:
                number += 1
            self.rows[number] = Row(number, sink, one, at, at)

    def due(self, sink: str, now: int, limit: int) -> list[Row]:
        waiting: set[str] = set()
        due = []
        for row in sorted((row for row in self.rows.values() if row.sink == sink), key=lambda row: row.id):
            if row.due_at > now:
                waiting.add(row.alert.id)
            elif row.alert.id not in waiting:
                due.append(row)
        return due[:limit]

    def delivered(self, ids: Sequence[int]) -> Future[None]:
        return self._write(lambda: [self.rows.pop(number) for number in ids])

    def retry(self, ids: Sequence[int], at: int, error: str) -> Future[None]:
        def write() -> None:
            for number in ids:
                self.rows[number].due_at = at
                self.rows[number].tries += 1
                self.puts_off.append((number, at, error))

        return self._write(write)

    def bury(self, ids: Sequence[int], error: str) -> Future[None]:
        return self._write(lambda: self.buried.extend((self.rows.pop(number), error) for number in ids))

    def _write(self, write: Callable[[], object]) -> Future[None]:
        future: Future[None] = Future()
        if self.fails and self.error is not None:
            self.fails -= 1
            future.set_exception(self.error)
        else:
            write()
            future.set_result(None)
        return future


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
