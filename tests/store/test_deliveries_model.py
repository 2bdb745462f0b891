"""Any history of the outbox: rows come in order, each is in one place, none is lost."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from detector.store import deliveries
from detector.store.tables import STATE
from tests.store.making import alert

SINKS = st.sampled_from(["siem", "chat"])
CHOICE = st.randoms(use_true_random=False)


class OutboxMachine(RuleBasedStateMachine):
    """The table of deliveries beside a dictionary that should say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for statements in STATE.migrations:
            for statement in statements:
                self.connection.execute(statement)
        self.now, self.revision = 0, 0
        self.rows: dict[int, dict[str, Any]] = {}

    def teardown(self) -> None:
        self.connection.close()

    def chosen(self, sink: str, choice: Any) -> list[int]:
        """Choose some of the rows that are due, as a sink's worker does."""
        due = [row.id for row in deliveries.due(self.connection, sink, self.now, 5)]
        return sorted(choice.sample(due, choice.randint(0, len(due))))

    @rule(sink=SINKS, name=st.sampled_from("abc"))
    def emit(self, sink: str, name: str) -> None:
        self.revision += 1
        made = alert(name, self.revision)
        deliveries.add(self.connection, sink, made, msgspec.json.encode(made), self.now)
        number = self.connection.execute("SELECT max(id) FROM outbox").fetchone()[0]
        self.rows[number] = {"sink": sink, "alert": name, "due": self.now, "tries": 0, "buried": False}

    @rule(sink=SINKS, choice=CHOICE)
    def deliver(self, sink: str, choice: Any) -> None:
        ids = self.chosen(sink, choice)
        deliveries.done(self.connection, ids)
        for number in ids:
            del self.rows[number]

    @rule(sink=SINKS, choice=CHOICE, wait=st.integers(0, 5))
    def put_off(self, sink: str, choice: Any, wait: int) -> None:
        ids = self.chosen(sink, choice)
        deliveries.put_off(self.connection, ids, self.now + wait, "no")
        for number in ids:
            self.rows[number] |= {"due": self.now + wait, "tries": self.rows[number]["tries"] + 1}

    @rule(sink=SINKS, choice=CHOICE)
    def bury(self, sink: str, choice: Any) -> None:
        ids = self.chosen(sink, choice)
        assert deliveries.bury(self.connection, ids, self.now, "no") == 0
        for number in ids:
            self.rows[number] |= {"buried": True}

    @rule(sink=st.one_of(st.none(), SINKS))
    def dig_up(self, sink: str | None) -> None:
        buried = [row for row in self.rows.values() if row["buried"] and sink in {None, row["sink"]}]
        assert deliveries.dig_up(self.connection, None, sink, self.now) == len(buried)
        for row in buried:
            row |= {"buried": False, "due": self.now, "tries": 0}

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def what_is_due_is_what_should_be(self) -> None:
        for sink in ("siem", "chat"):
            waiting = {number: row for number, row in self.rows.items() if row["sink"] == sink and not row["buried"]}
            held = [(row["alert"], number) for number, row in waiting.items() if row["due"] > self.now]
            due = [
                number
                for number, row in sorted(waiting.items())
                if row["due"] <= self.now and not any(name == row["alert"] and at < number for name, at in held)
            ]
            given = deliveries.due(self.connection, sink, self.now, 100)
            assert [row.id for row in given] == due
            assert [row.tries for row in given] == [waiting[number]["tries"] for number in due]
            assert deliveries.depth(self.connection).get(sink, (0, 0))[0] == len(waiting)


OutboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_any_history_of_the_outbox = OutboxMachine.TestCase
