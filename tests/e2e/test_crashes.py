"""kill -9 of either process, at named points and at random, under load.

What was answered with 200 has its alerts, an idempotent sink hears of each alert once, and the store is what folding
the journal in one go makes.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from detector.entries import JournalSource
from detector.formats import decode_batch
from tests.daemon import ATTACK, Daemon, Receiver, Sender, fingerprints, http_sink, receiving, wait_for

pytestmark = pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")
KILLS = 10
RANDOM_KILLS = 50
RULES = {"builtin": False, "paths": [str(ATTACK.parent.parent / "rules" / "credential-access")]}
"""Enough to alert. The daemon starts some two hundred times here, and reads its rules each time."""
TRAPS = os.pathsep.join(filter(None, (str(Path(__file__).parent / "crash"), os.environ.get("PYTHONPATH"))))


class History:
    """One daemon through many deaths, with a receiver that outlives it."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self.daemon = Daemon(folder, sinks=[http_sink(receiver, batch_size=5)], rules=RULES)
        self.sender = Sender(self.daemon)

    def live(self, until: Callable[[], object], **environment: str) -> None:
        """Start the daemon, post, and go on until something is true; then kill it if it lives."""
        self.daemon.environment = environment
        self.daemon.launch()
        with suppress(AssertionError):  # it may die before it listens
            self.daemon.listening()
        self.sender.begin()
        wait_for(lambda: until() or self.dead(), "a death")
        self.sender.end()
        self.daemon.kill()

    def dead(self) -> bool:
        return self.daemon.process is not None and self.daemon.process.poll() is not None

    def check(self) -> None:
        """Start it once more, let it settle, and hold everything against the oracle."""
        self.daemon.environment = {}
        self.daemon.start()
        self.sender.begin()
        wanted = len(self.sender.sent) + 3
        wait_for(lambda: len(self.sender.sent) >= wanted, "three more bodies")
        self.sender.end()
        self.daemon.settled()
        assert self.daemon.stop() == 0
        stored, oracle = self.daemon.stored(), self.daemon.oracle()
        assert stored == oracle
        assert {id_: set(revisions) for id_, revisions in self.receiver.revisions.items()} == self.daemon.wanted()
        kept = [one for record in JournalSource(self.daemon.data) for one in fingerprints(record.body)]
        assert len(kept) == len(set(kept))
        assert set(kept) >= {one for body in self.sender.sent for one in fingerprints(decode_batch(body))}
        assert stored


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with receiving() as receiver:
        one = History(tmp_path, receiver)
        try:
            yield one
        finally:
            one.sender.end()
            one.daemon.end()


@pytest.mark.parametrize("point", ["committed", "told", "emitted", "half a snapshot"])
def test_the_daemon_dies_at(point: str, history: History) -> None:
    for number in range(KILLS):
        times = 1 + number % 4 if point != "half a snapshot" else 1
        history.live(history.dead, CRASH=f"{point}:{times}", PYTHONPATH=TRAPS)
    history.check()


@pytest.mark.parametrize("point", ["folding", "saving"])
def test_the_fold_dies_at(point: str, history: History) -> None:
    for number in range(KILLS):
        times = 30 + 7 * number if point == "folding" else 1
        history.live(lambda: history.daemon.said("the fold process ended"), CRASH=f"{point}:{times}", PYTHONPATH=TRAPS)
    history.check()


def test_it_dies_while_a_sink_takes_alerts(history: History) -> None:
    daemon, receiver = history.daemon, history.receiver

    def kill(request: BaseHTTPRequestHandler) -> bool:
        """Kill the daemon, before the sink has taken the alerts or (every other time) when it is about to say so."""
        if daemon.process is None or history.dead() or receiver.requests % 3:
            return False
        daemon.process.kill()
        return receiver.requests % 2 == 0

    receiver.behaviour = kill
    for _ in range(KILLS):
        history.live(history.dead)
    receiver.behaviour = lambda _: False
    history.check()


def test_it_dies_at_random(history: History) -> None:
    chance = random.Random(7)

    def kill() -> None:
        pid = history.daemon.fold_pid if chance.random() < 0.5 else None
        with suppress(ProcessLookupError):
            os.kill(pid or (history.daemon.process.pid if history.daemon.process else 0), signal.SIGKILL)

    def over(timers: list[threading.Timer]) -> bool:
        return history.dead() or not any(timer.is_alive() for timer in timers)

    kills = 0
    while kills < RANDOM_KILLS:
        timers = [threading.Timer(chance.uniform(0.1, 2.5), kill) for _ in range(4)]
        for timer in timers:
            timer.start()
        history.live(partial(over, timers))
        for timer in timers:
            timer.join()
        kills += len(timers)
    history.check()
