"""Alertmanager: what is open goes on firing, what is closed is resolved, and somebody hears of it in any case."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from detector.event import SECOND, micros
from detector.finding import Alert
from detector.outbox import Outbox
from detector.sinks import alertmanager
from detector.sinks.base import RefusedError, RetryError, Sink
from tests.report.making import START
from tests.sinks.destinations import AlertManager
from tests.sinks.doubles import FakeClock, Store, alert, until
from tests.sinks.server import Server


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlertManager:
    return AlertManager(tmp_path, monkeypatch)


def use(manager: AlertManager, work: Callable[[Sink, FakeClock], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        clock = FakeClock()
        await manager.start()
        sink = manager.configured(**options).open(clock)
        try:
            await work(sink, clock)
        finally:
            await sink.close()
            await manager.stop()

    asyncio.run(main())


def ends(record: dict[str, Any]) -> float:
    """Give the end of an alert in seconds after the start of all tests."""
    moment = micros(record["endsAt"])
    assert moment is not None
    return (moment - START) / SECOND


def closed(**attributes: Any) -> Alert:
    return alert(0, revision=2, status="closed", change="closed", **attributes)


def test_an_open_alert_fires_until_four_repetitions_have_failed(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        await sink.send([alert(0)])

    use(manager, work, repeat="30s")
    (record,) = manager.posted
    assert ends(record) == 120


def test_what_is_open_is_repeated_and_what_is_closed_is_not(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        await sink.send([alert(0), alert(1)])
        clock.time = 600
        await sink.send([closed()])
        manager.posted.clear()
        await sink.again()

    use(manager, work)
    (record,) = manager.posted
    assert record["labels"]["alert_id"] == alert(1).id
    assert ends(record) == 600 + 4 * 60


def test_an_alert_that_fired_long_enough_is_resolved_when_it_closes(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        await sink.send([alert(0)])
        clock.time = 400
        await sink.send([alert(0, revision=2, change="updated")])
        clock.time = 601
        await sink.send([closed(last_seen=START + 500 * SECOND)])

    use(manager, work, hold="10m")
    assert ends(manager.posted[-1]) == 500


def test_an_alert_that_closes_before_anybody_was_told_fires_all_the_same(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        clock.time = 1000
        await sink.send([closed()])
        assert manager.posted
        await sink.again()

    use(manager, work, hold="5m")
    (record,) = manager.posted
    assert ends(record) == 1300, "it resolves by itself"


def test_labels_are_the_same_for_all_revisions(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        for change in ("opened", "raised", "updated", "closed"):
            await sink.send([alert(0, change=change, status="closed" if change == "closed" else "open", count=9)])

    use(manager, work)
    assert len({tuple(record["labels"].items()) for record in manager.posted}) == 1


def test_a_clock_that_is_behind_the_events_costs_no_alert(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        ahead = START + 3600 * SECOND
        await sink.send([alert(0, first_seen=ahead, last_seen=ahead)])

    use(manager, work)
    assert ends(manager.posted[0]) == 3600


def test_after_a_restart_repetition_goes_on(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        sink.resume([alert(1), closed(), alert(2)])
        await sink.again()

    use(manager, work)
    assert manager.got == [alert(1).id, alert(2).id]


def test_so_many_alerts_are_repeated_and_no_more(manager: AlertManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alertmanager, "MOST", 10)

    async def work(sink: Sink, clock: FakeClock) -> None:
        for start in (0, 20):
            await sink.send([alert(number) for number in range(start, start + 20)])
        manager.got.clear()
        await sink.again()

    use(manager, work, batch_size=4)
    assert sorted(manager.got) == [alert(number).id for number in range(30, 40)]
    assert len(manager.server.requests) == 2 + 3


def test_one_instance_of_several_is_enough(manager: AlertManager) -> None:
    async def silent(request: web.Request, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def main() -> None:
        hanging = Server(silent)
        await hanging.start()
        await manager.start()
        urls = ["http://127.0.0.1:1", hanging.url, f"{manager.server.url}/"]
        sink = manager.configured(urls=urls, timeout="0.5s").open(FakeClock())
        assert await sink.send([alert(0)]) == []
        await sink.close()
        await manager.stop()
        await hanging.stop()

    asyncio.run(main())
    assert manager.got == [alert(0).id]


def test_when_no_instance_answers_it_is_tried_again(manager: AlertManager) -> None:
    async def work(sink: Sink, clock: FakeClock) -> None:
        manager.server.faults.extend(["500", "500"])
        with pytest.raises(RetryError):
            await sink.send([alert(0)])
        await sink.again()
        assert not manager.got, "what was not delivered is not repeated"

    use(manager, work)


def test_a_refusal_is_one_even_beside_an_instance_that_is_down(manager: AlertManager) -> None:
    async def main() -> None:
        await manager.start()
        manager.poison = {alert(0).id}
        sink = manager.configured(urls=["http://127.0.0.1:1", manager.server.url]).open(FakeClock())
        with pytest.raises(RefusedError):
            await sink.send([alert(0)])
        await sink.close()
        await manager.stop()

    asyncio.run(main())


def test_the_outbox_has_open_alerts_repeated_and_resumed(manager: AlertManager, tmp_path: Path) -> None:
    async def main() -> None:
        clock, store = FakeClock(), Store(tmp_path)
        await manager.start()
        outbox = Outbox(store, clock)
        await outbox.configure([manager.configured()], [alert(0), alert(1)])
        await until(lambda: manager.got.count(alert(0).id) >= 3)
        manager.server.faults.extend(["500"] * 3)  # a repetition that fails is not the last
        await until(lambda: manager.got.count(alert(1).id) >= 6)
        await outbox.close(1)
        await manager.stop()
        store.close()

    asyncio.run(main())
