"""Any history of the outbox: rows come in order, each is in one place, none is lost."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from detector.store import deliveries
from detector.store.alerts import write_body
from detector.store.deliveries import Message, Terms
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

    @rule(sink=SINKS, name=st.sampled_from("abc"), replaces=st.booleans())
    def emit(self, sink: str, name: str, replaces: bool) -> None:
        before = [
            number
            for number, row in self.rows.items()
            if replaces and (row["sink"], row["alert"], row["buried"]) == (sink, name, False)
        ]
        taken = [self.rows.pop(number) for number in before]
        self.revision += 1
        made = alert(name, self.revision)
        body = write_body(self.connection, msgspec.json.encode(made))
        deliveries.add(self.connection, Message(sink, 0, Terms(replaces)), name, body, self.now)
        number = self.connection.execute("SELECT max(id) FROM outbox").fetchone()[0]
        self.rows[number] = {
            "sink": sink,
            "alert": name,
            "due": max((row["due"] for row in taken), default=self.now),
            "tries": max((row["tries"] for row in taken), default=0),
            "buried": False,
            "body": body.id,
            "size": body.size,
        }

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
        deliveries.bury(self.connection, ids, self.now, "no")
        for number in ids:
            self.rows[number] |= {"buried": True}

    @rule(sink=SINKS, most=st.integers(1, 4))
    def make_room(self, sink: str, most: int) -> None:
        deliveries.make_room(self.connection, sink, Terms(rows=most), self.now)
        waiting = sorted(number for number, row in self.rows.items() if row["sink"] == sink and not row["buried"])
        for number in waiting[:-most]:
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
            self.counts_agree(sink, waiting)

    def counts_agree(self, sink: str, waiting: dict[int, dict[str, Any]]) -> None:
        told = deliveries.depth(self.connection).get(sink, deliveries.NOTHING)
        assert (told.waiting, told.bytes) == (len(waiting), sum(row["size"] for row in waiting.values()))
        assert told.buried == sum(row["sink"] == sink and row["buried"] for row in self.rows.values())

    @invariant()
    def bodies_are_those_that_rows_refer_to(self) -> None:
        bodies = {number for (number,) in self.connection.execute("SELECT id FROM alert_bodies")}
        assert bodies == {row["body"] for row in self.rows.values()}


OutboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_any_history_of_the_outbox = OutboxMachine.TestCase
