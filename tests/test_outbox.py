"""The outbox: what waits in the store reaches the sinks, in order, whatever they do, and nothing is told twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ConfigError, StoreFullError
from detector.event import SECOND
from detector.finding import Alert, Level
from detector.outbox import Outbox
from detector.sinks.base import Failure, RefusedError, RetryError
from detector.sinks.settings import SinkSettings, wants
from detector.store.deliveries import Message, Terms
from tests.report.making import START
from tests.sinks.doubles import (
    HOUR,
    REPLACES,
    AppendSettings,
    FakeClock,
    Store,
    UpsertSettings,
    alert,
    messages,
    scripted,
    until,
)

Scenario = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path)) as opened:
        yield opened


@asynccontextmanager
async def running(
    store: Store, *settings: SinkSettings, clock: FakeClock | None = None, deadline: float = 0.0
) -> AsyncIterator[Outbox]:
    outbox = Outbox(store, clock or FakeClock())
    await outbox.configure(settings)
    try:
        yield outbox
    finally:
        await outbox.close(deadline)


def ids(script_got: Sequence[tuple[str, int]]) -> list[str]:
    return [one for one, _ in script_got]


def test_what_waits_is_delivered_and_leaves_the_store(store: Store) -> None:
    async def scenario() -> None:
        script = scripted()
        store.add("a", *map(alert, range(7)))
        async with running(store, AppendSettings(name="a", batch_size=3)):
            await until(lambda: not store.waiting)
        assert ids(script.got) == [alert(number).id for number in range(7)]
        assert [len(batch) for batch in script.asked] == [3, 3, 1]
        assert script.closed == 1

    asyncio.run(scenario())


def test_a_row_added_later_is_delivered_when_the_outbox_is_woken(store: Store) -> None:
    async def scenario() -> None:
        script = scripted()
        async with running(store, AppendSettings(name="a")) as outbox:
            store.add("a", alert())
            outbox.wake()
            await until(lambda: script.got)

    asyncio.run(scenario())


def test_a_destination_down_for_an_hour_is_asked_seldom_and_gets_everything_afterwards(store: Store) -> None:
    async def scenario() -> None:
        clock, vain = FakeClock(), list[float]()

        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if clock.time < HOUR:
                vain.append(clock.time)
                raise RetryError("down")
            return []

        script = scripted("a", answer)
        store.add("a", *map(alert, range(250)))
        async with running(store, AppendSettings(name="a"), clock=clock) as outbox:
            await until(lambda: outbox.trouble)
            assert outbox.trouble == {"a": "down"}
            await until(lambda: not store.waiting)
            assert outbox.trouble == {}
        assert sorted(ids(script.got)) == sorted(alert(number).id for number in range(250))
        assert 10 < len(vain) < 120, "about every two and a half minutes in the end"

    asyncio.run(scenario())


def test_back_off_is_kept_in_the_store_so_that_a_restart_does_not_ask_again_at_once(store: Store) -> None:
    async def scenario() -> None:
        async def down(alerts: Sequence[Alert]) -> list[Failure]:
            asked.append(clock.time)
            raise RetryError("down", after=600)

        clock, asked = FakeClock(), list[float]()
        scripted("a", down)
        store.add("a", alert())
        async with running(store, AppendSettings(name="a"), clock=clock, deadline=20):
            await until(lambda: asked)
        before = len(asked)
        assert store.waiting[0].tries == before
        async with running(store, AppendSettings(name="a"), clock=clock):
            await until(lambda: len(asked) > before)
        assert asked[before] >= asked[before - 1] + 600

    asyncio.run(scenario())


def test_an_alert_that_brings_the_destination_down_does_not_hold_up_the_others(store: Store) -> None:
    async def scenario() -> None:
        poison = alert(0).id

        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if any(one.id == poison for one in alerts):
                raise RetryError("500")
            return []

        script = scripted("a", answer)
        store.add("a", *map(alert, range(40)))
        async with running(store, AppendSettings(name="a", batch_size=16)):
            await until(lambda: [row.alert.id for row in store.waiting] == [poison])
        assert len(script.got) == 39

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [RefusedError("no"), KeyError("a fault of ours")])
def test_an_alert_the_batch_is_refused_for_is_found_and_costs_no_other(store: Store, error: Exception) -> None:
    async def scenario() -> None:
        poison = {alert(3).id, alert(11).id}

        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if poison & {one.id for one in alerts}:
                raise error
            return []

        script = scripted("a", answer)
        store.add("a", *map(alert, range(20)))
        async with running(store, AppendSettings(name="a")):
            await until(lambda: len(script.got) == 18 and {row.alert.id for row in store.waiting} <= poison)
            await until(lambda: len(store.buried) == 2 or len(store.puts_off) >= 2)
        assert sorted(ids(script.got)) == sorted({alert(number).id for number in range(20)} - poison)
        assert all(count == 1 for count in map(script.got.count, script.got)), "told twice"
        if isinstance(error, RefusedError):
            assert {letter.alert for letter in store.buried} == poison
            assert {letter.reason for letter in store.buried} == {"no"}
        else:
            assert {row.alert.id for row in store.waiting} == poison, "our own faults are tried again"

    asyncio.run(scenario())


def test_the_failures_a_sink_names_are_buried_or_tried_again_one_by_one(store: Store) -> None:
    async def scenario() -> None:
        broken = {alert(1).id: True, alert(2).id: False}

        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            failures = [
                Failure(place, "mapping", broken[one.id]) for place, one in enumerate(alerts) if one.id in broken
            ]
            broken[alert(2).id] = False
            if len(script.asked) > 1:
                broken.pop(alert(2).id, None)
                return [failure for failure in failures if failure.permanent]
            return failures

        script = scripted("a", answer)
        store.add("a", *map(alert, range(4)))
        async with running(store, AppendSettings(name="a")):
            await until(lambda: not store.waiting)
        assert [letter.alert for letter in store.buried] == [alert(1).id]
        assert sorted(ids(script.got)) == sorted([alert(0).id, alert(2).id, alert(3).id])

    asyncio.run(scenario())


def test_what_cannot_be_delivered_in_time_goes_to_the_dead_letters_with_the_reason(store: Store) -> None:
    async def scenario() -> None:
        async def down(alerts: Sequence[Alert]) -> list[Failure]:
            raise RetryError("connection refused")

        script = scripted("a", down)
        store.add("a", *map(alert, range(300)))
        async with running(store, AppendSettings(name="a", expire_after="1h")):
            await until(lambda: not store.waiting)
        assert len(store.buried) == 300
        assert {letter.reason for letter in store.buried} == {"not delivered in time: connection refused"}
        assert len(script.asked) < 150, "expired rows are given up without asking for each"

    asyncio.run(scenario())


def test_an_alert_that_fails_alone_is_given_up_in_time_too(store: Store) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            return [Failure(place, "queue full", permanent=False) for place, one in enumerate(alerts) if one == poison]

        poison = alert(0)
        scripted("a", answer)
        store.add("a", poison, alert(1))
        async with running(store, AppendSettings(name="a", expire_after="5m")) as outbox:
            await until(lambda: not store.waiting)
            assert not outbox.trouble
        assert [letter.alert for letter in store.buried] == [poison.id]
        assert store.buried[0].reason == "not delivered in time: queue full"
        assert len(store.puts_off) > 3

    asyncio.run(scenario())


def test_old_rows_are_sent_when_the_destination_takes_them(store: Store) -> None:
    async def scenario() -> None:
        script = scripted()
        store.add("a", alert(), at=START - 30 * 86_400 * 1_000_000)
        async with running(store, AppendSettings(name="a")):
            await until(lambda: not store.waiting)
        assert script.got
        assert not store.buried

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_holds_nothing_up(store: Store) -> None:
    async def scenario() -> None:
        script = scripted()
        store.add("a", alert(0), at=START + 86_400 * SECOND)
        store.add("a", alert(1))
        async with running(store, AppendSettings(name="a")) as outbox:
            await until(lambda: len(script.got) == 2)
            assert not outbox.trouble

    asyncio.run(scenario())


def revisions(*numbers: int, id_: int = 0) -> list[Alert]:
    return [alert(id_, revision=number) for number in numbers]


@pytest.mark.parametrize("fails", [0, 3])
def test_revisions_of_an_alert_are_appended_in_order_one_at_a_time(store: Store, fails: int) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if len(script.asked) <= fails:
                raise RetryError("busy")
            return []

        script = scripted("a", answer)
        store.add("a", *revisions(1, 2, 3), *revisions(1, 2, id_=1))
        async with running(store, AppendSettings(name="a", concurrency=4, batch_size=2)):
            await until(lambda: not store.waiting)
        for number, revisions_of_it in ((0, [1, 2, 3]), (1, [1, 2])):
            assert [revision for one, revision in script.got if one == alert(number).id] == revisions_of_it
        assert all(len({one for one, _ in batch}) == len(batch) for batch in script.asked)

    asyncio.run(scenario())


def test_a_sink_that_replaces_is_sent_the_newest_revision_only(store: Store) -> None:
    async def scenario() -> None:
        script = scripted()
        store.add("a", *revisions(1, 2, 3), alert(1), terms=REPLACES)
        async with running(store, UpsertSettings(name="a")):
            await until(lambda: not store.waiting)
        assert script.asked == [[(alert(0).id, 3), (alert(1).id, 1)]]

    asyncio.run(scenario())


@pytest.mark.parametrize("outcome", [[], [Failure(0, "no", permanent=True)], RetryError("busy")])
def test_a_revision_that_replaces_one_under_way_comes_after_it_whatever_becomes_of_that(
    store: Store, outcome: Exception | list[Failure]
) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if len(script.asked) > 1:
                return []
            store.add("a", *revisions(2), terms=REPLACES)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        script = scripted("a", answer)
        store.add("a", *revisions(1), terms=REPLACES)
        async with running(store, UpsertSettings(name="a", concurrency=4)):
            await until(lambda: not store.waiting)
        assert script.asked == [[(alert(0).id, 1)], [(alert(0).id, 2)]]
        assert not store.buried

    asyncio.run(scenario())


def test_a_refused_revision_that_replaced_others_is_a_dead_letter(store: Store) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            return [Failure(0, "refused", permanent=True)]

        script = scripted("a", answer)
        store.add("a", *revisions(1, 2, 3), terms=REPLACES)
        async with running(store, UpsertSettings(name="a")):
            await until(lambda: not store.waiting)
        assert [letter.reason for letter in store.buried] == ["refused"]
        assert script.asked == [[(alert(0).id, 3)]]

    asyncio.run(scenario())


def test_revisions_left_from_when_a_sink_appended_come_in_order_once_it_replaces(store: Store) -> None:
    async def scenario() -> None:
        script = scripted()
        store.add("a", *revisions(1, 2, 3))
        async with running(store, UpsertSettings(name="a")):
            await until(lambda: not store.waiting)
        assert script.got == [(alert(0).id, number) for number in (1, 2, 3)]

    asyncio.run(scenario())


def test_rows_wait_on_the_terms_of_their_sink(store: Store) -> None:
    async def scenario() -> None:
        outbox = Outbox(store, FakeClock())
        scripted("few"), scripted("usual")
        few = UpsertSettings.model_validate({"name": "few", "most_waiting": 7, "most_waiting_bytes": "2MiB"})
        await outbox.configure([few, AppendSettings(name="usual")])
        assert [(row.sink, row.terms) for row in outbox.deliveries([alert()])] == [
            ("few", Terms(replaces=True, rows=7, bytes=2 << 20)),
            ("usual", Terms(replaces=False)),
        ]
        await outbox.close(0)

    asyncio.run(scenario())


def test_what_gives_way_while_it_is_under_way_is_delivered_once_and_no_dead_letter(store: Store) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if len(script.asked) == 1:
                store.add("a", *map(alert, range(1, 4)), terms=Terms(rows=3))
                assert len(store.buried) == 1
            return []

        script = scripted("a", answer)
        store.add("a", alert(0))
        async with running(store, AppendSettings(name="a")):
            await until(lambda: not store.waiting)
        assert sorted(ids(script.got)) == sorted(alert(number).id for number in range(4))
        assert not store.buried

    asyncio.run(scenario())


def test_what_waits_for_a_sink_that_is_gone_is_a_dead_letter_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.outbox.AT_ONCE", 1)
    monkeypatch.setattr("detector.store.deliveries.AT_ONCE", 1)

    async def scenario() -> None:
        async def hang(alerts: Sequence[Alert]) -> list[Failure]:
            await asyncio.Event().wait()
            return []

        scripted("a", hang)
        store.add("a", alert(0), at=START - 4 * 86_400 * SECOND)
        store.add("gone", alert(1), alert(2), at=START - 3 * 86_400 * SECOND - 1)
        store.add("gone", alert(3))
        async with running(store, AppendSettings(name="a")) as outbox:
            await outbox.expire()
        assert {(letter.sink, letter.alert) for letter in store.buried} == {
            ("gone", alert(1).id),
            ("gone", alert(2).id),
        }
        assert {row.alert.id for row in store.waiting} == {alert(0).id, alert(3).id}

    asyncio.run(scenario())


def test_a_sink_that_hangs_holds_up_no_other_and_its_alerts_stay(store: Store) -> None:
    async def scenario() -> None:
        async def hang(alerts: Sequence[Alert]) -> list[Failure]:
            await asyncio.Event().wait()
            return []

        stuck, fine = scripted("stuck", hang), scripted("fine")
        store.add("stuck", alert())
        store.add("fine", *map(alert, range(1, 500)))
        async with running(store, AppendSettings(name="stuck"), AppendSettings(name="fine", batch_size=1)):
            await until(lambda: len(fine.got) == 499)
            assert len(stuck.asked) == 1
            await until(lambda: store.outbox_depth().keys() == {"stuck"})
        assert stuck.closed == 1

    asyncio.run(scenario())


def test_a_send_that_takes_too_long_is_given_up_and_tried_again(store: Store) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if len(script.asked) == 1:
                await asyncio.Event().wait()
            return []

        script = scripted("a", answer)
        store.add("a", alert())
        async with running(store, AppendSettings(name="a", timeout="0.02s")):
            await until(lambda: not store.waiting)
        assert len(script.asked) == 2
        assert store.puts_off[0][2] == "no answer within 0.02 s"

    asyncio.run(scenario())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_under_way_than_allowed(store: Store, concurrency: int) -> None:
    async def scenario() -> None:
        most = now = 0

        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            nonlocal most, now
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)  # time enough to begin more, if that were allowed
            now -= 1
            return []

        script = scripted("a", answer)
        store.add("a", *map(alert, range(60)))
        async with running(store, AppendSettings(name="a", concurrency=concurrency, batch_size=5)):
            await until(lambda: not store.waiting)
        assert most == concurrency
        assert len(script.got) == 60, "what is under way is not sent a second time"

    asyncio.run(scenario())


def test_a_rate_limit_spreads_messages_over_time(store: Store) -> None:
    async def scenario() -> None:
        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            times.append(clock.time)
            return []

        clock, times, script = FakeClock(), list[float](), scripted("a", answer)
        store.add("a", *map(alert, range(6)))
        async with running(store, AppendSettings(name="a", rate=0.05), clock=clock):
            await until(lambda: not store.waiting)
        assert [len(batch) for batch in script.asked] == [1] * 6
        assert all(later - earlier >= 19 for earlier, later in pairwise(times))

    asyncio.run(scenario())


def test_a_store_that_cannot_write_causes_no_message_twice(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        script = scripted()
        store.refuses = [StoreFullError("disk full")] * 5
        store.add("a", alert())
        async with running(store, AppendSettings(name="a")):
            await until(lambda: not store.waiting)
        assert len(script.asked) == 1

    asyncio.run(scenario())
    assert messages(caplog).count("disk full") == 1


def test_a_fault_while_noting_what_was_sent_is_told_and_does_not_become_a_flood(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        clock, script = FakeClock(), scripted()
        store.refuses = [KeyError("a fault of ours")] * 3
        store.add("a", alert())
        async with running(store, AppendSettings(name="a"), clock=clock):
            await until(lambda: not store.waiting)
        assert len(script.asked) == 4
        assert clock.time > 0

    asyncio.run(scenario())
    assert "cannot be noted: 'a fault of ours'" in messages(caplog)


def test_a_store_that_cannot_be_read_is_read_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        script = scripted()
        store.misreads = [StoreFullError("locked")] * 2
        store.add("a", alert())
        async with running(store, AppendSettings(name="a")):
            await until(lambda: script.got)

    asyncio.run(scenario())
    assert "locked" in messages(caplog)


def test_closing_sends_what_is_due_and_leaves_what_is_not(store: Store) -> None:
    async def scenario() -> None:
        async def down(alerts: Sequence[Alert]) -> list[Failure]:
            raise RetryError("down")

        fine, _ = scripted("fine"), scripted("down", down)
        store.add("fine", *map(alert, range(50)))
        store.add("down", *map(alert, range(50, 60)))
        outbox = Outbox(store, FakeClock())
        await outbox.configure([AppendSettings(name="fine", batch_size=1), AppendSettings(name="down")])
        await outbox.close(deadline=20)
        assert len(fine.got) == 50
        assert store.outbox_depth().keys() == {"down"}

    asyncio.run(scenario())


def test_a_sink_that_cannot_close_holds_nothing_up(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        script = scripted()
        script.close_raises = True
        async with running(store, AppendSettings(name="a")):
            pass

    asyncio.run(scenario())
    assert "sink a did not close: stuck" in messages(caplog)


def test_a_changed_sink_starts_anew_and_an_unchanged_one_goes_on(store: Store) -> None:
    async def scenario() -> None:
        same, other = scripted("same"), scripted("other")
        outbox = Outbox(store, FakeClock())
        await outbox.configure([AppendSettings(name="same"), AppendSettings(name="other")])
        await outbox.configure([AppendSettings(name="same"), AppendSettings(name="other", batch_size=1)])
        assert (same.closed, other.closed) == (0, 1)
        store.add("other", alert(1), alert(2))
        outbox.wake()
        await until(lambda: len(other.got) == 2)
        assert [len(batch) for batch in other.asked] == [1, 1]
        await outbox.configure([AppendSettings(name="same")])
        assert other.closed == 2
        assert outbox.deliveries([alert()]) == [Message("same", 0)]
        await outbox.close(0)

    asyncio.run(scenario())


def test_rows_for_a_sink_that_is_being_replaced_are_not_forgotten(store: Store) -> None:
    async def scenario() -> None:
        async def slow(alerts: Sequence[Alert]) -> list[Failure]:
            await gate.wait()
            return []

        gate, script = asyncio.Event(), scripted("a", slow)
        outbox = Outbox(store, FakeClock())
        await outbox.configure([AppendSettings(name="a")])
        store.add("a", alert(0))
        outbox.wake()
        await until(lambda: script.asked)
        changing = asyncio.create_task(outbox.configure([AppendSettings(name="a", batch_size=1)], deadline=20))
        await asyncio.sleep(0)
        assert outbox.deliveries([alert(1)]) == [Message("a", 0)]
        store.add("a", alert(1))
        gate.set()
        await changing
        await until(lambda: len(script.got) == 2)
        assert len(script.asked) == 2
        await outbox.close(0)

    asyncio.run(scenario())


def test_two_sinks_of_one_name_are_refused(store: Store) -> None:
    async def scenario() -> None:
        scripted()
        with pytest.raises(ConfigError, match="same name"):
            await Outbox(store).configure([AppendSettings(name="a"), UpsertSettings(name="a")])

    asyncio.run(scenario())


def test_what_becomes_of_rows_is_told_for_metrics(store: Store) -> None:
    async def scenario() -> None:
        told: list[tuple[str, str, int]] = []

        async def answer(alerts: Sequence[Alert]) -> list[Failure]:
            if len(script.asked) == 1:
                raise RetryError("busy")
            return [Failure(0, "no", permanent=True)]

        script = scripted("a", answer)
        store.add("a", alert(0), alert(1))
        outbox = Outbox(store, FakeClock(), lambda sink, outcome, rows: told.append((sink, outcome, len(rows))))
        await outbox.configure([AppendSettings(name="a")])
        await until(lambda: not store.waiting)
        await outbox.close(0)
        assert told[0] == ("a", "retried", 2)
        assert sum(count for _, outcome, count in told if outcome in {"delivered", "buried"}) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "change", "heard"),
    [
        ({}, "opened", True),
        ({}, "raised", True),
        ({}, "updated", False),
        ({}, "closed", False),
        ({"closed": True}, "closed", True),
        ({"closed": True}, "updated", False),
        ({"min_level": "critical"}, "opened", False),
        ({"min_level": "high"}, "raised", True),
        ({"clusters": ["prod-*"]}, "opened", True),
        ({"clusters": ["test", "prod-eu"]}, "opened", True),
        ({"clusters": ["PROD-*"]}, "opened", False),
        ({"clusters": ["prod"]}, "opened", False),
    ],
)
def test_who_hears_of_what(settings: dict[str, Any], change: str, heard: bool) -> None:
    revision = alert(level=Level.high, change=change, cluster="prod-eu")
    assert wants(AppendSettings(name="a", **settings), revision) is heard
    matches = settings.keys() <= {"closed"} or heard
    assert wants(UpsertSettings(name="a", **settings), revision) is matches
