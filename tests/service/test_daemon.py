"""The daemon inside this process: what it does when its disk takes nothing, and when new settings are wrong."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.errors import StoreFullError
from detector.listen.settings import hash_token
from detector.service import daemon as module
from detector.service.configuration import Configuration
from detector.service.daemon import Daemon, Signals
from detector.service.readings import Reading
from detector.store.alerts import AT_ONCE
from detector.store.deliveries import Message
from detector.store.directory import Store
from detector.store.entry import Kind
from tests.daemon import bodies
from tests.store.making import alert
from tests.support import raw

BODY = bodies([raw(number, objectRef={"resource": "secrets"}, verb="list") for number in range(40)])[0]
MANAGER = {"name": "am", "type": "alertmanager", "urls": ["http://127.0.0.1:9"], "min_level": "informational"}


def written(folder: Path, **settings: Any) -> Path:
    """Write a file of settings."""
    some = {"data_dir": str(folder / "data"), "webhook": {"listen": "127.0.0.1:0"}, "web": {"listen": "127.0.0.1:0"}}
    file = folder / "redshank.yaml"
    file.write_text(yaml.safe_dump({"stop_within": "2s", "sinks": [], **some, **settings}))
    return file


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(Configuration(file, {}), Signals(asyncio.Event(), asyncio.Event()))
    task = asyncio.create_task(daemon.run())
    await asyncio.wait_for(daemon.folding.ready.wait(), 60)
    try:
        yield daemon
    finally:
        daemon.signals.stopping.set()
        await asyncio.wait_for(task, 60)


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not what():
            await asyncio.sleep(0.01)


async def take(daemon: Daemon, body: bytes = BODY) -> None:
    """Have a batch taken in, folded and stored."""
    assert (await daemon.webhook.accept("prod", body, "here")).status == 200
    await until(lambda: daemon.folding.offset == daemon.store.journal.last)


def full(*_: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(StoreFullError("no room"))
    return future


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_it_stops_though_alerts_cannot_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            tried: list[int] = []

            def emit(*_: Any) -> Future[Any]:
                tried.append(1)
                return full()

            monkeypatch.setattr(daemon.store.state, "emit", emit)
            assert (await daemon.webhook.accept("prod", BODY, "here")).status == 200
            await until(lambda: tried)
        async with running(written(tmp_path)) as daemon:  # and nothing is lost
            await until(lambda: daemon.folding.offset == daemon.store.journal.last)
            assert daemon.store.state.alerts()

    run(scenario)
    gc.collect()


def test_settings_of_which_a_part_is_refused_change_no_part(tmp_path: Path) -> None:
    def tokens(token: str) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0", "clusters": {"prod": {"tokens": [hash_token(token)]}}}

    async def scenario() -> None:
        async with running(written(tmp_path, webhook=tokens("old"))) as daemon:
            before = daemon.reload.configuration.settings
            written(tmp_path, webhook=tokens("new"), web={"listen": "127.0.0.1:1"})
            await daemon.reload.take()
            assert daemon.webhook.settings == before.webhook
            assert daemon.web.settings == before.web
            assert daemon.reload.configuration.settings is before

    run(scenario)


def test_a_reload_that_fails_in_an_unforeseen_way_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("unforeseen")

    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            monkeypatch.setattr(daemon.reload.configuration, "again", fails)
            await daemon.reload.take()
            refused = daemon.metrics.registry.get_sample_value
            assert refused("redshank_config_reloads_total", {"outcome": "refused"}) == 1

    run(scenario)


def test_a_changed_sink_goes_on_repeating_open_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path, sinks=[MANAGER])) as daemon:
            await take(daemon)
            told: list[int] = []
            monkeypatch.setattr(
                "detector.sinks.alertmanager.Alertmanager.resume", lambda _, alerts: told.append(len(alerts))
            )
            written(tmp_path, sinks=[{**MANAGER, "batch_size": 7}])
            await daemon.reload.take()
            assert told == [len(daemon.store.state.alerts())]
            assert told > [0]

    run(scenario)


def test_what_is_folded_goes_when_nothing_can_be_journaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.05)

    async def scenario() -> None:
        async with running(written(tmp_path, store={"snapshot_every": "1s"})) as daemon:
            journal = daemon.store.journal
            await take(daemon, bodies([raw(n, userAgent=str(n) * 50) for n in range(2000)], 2000)[0])
            await until(lambda: journal.last in daemon.store.snapshots.offsets())
            scarce = journal.used * 2 // 3
            monkeypatch.setattr(journal, "_capacity", lambda: (journal.limit, scarce))
            assert journal.trouble()
            await until(lambda: not journal.trouble())

    run(scenario)


def test_the_log_is_told_the_time_however_busy_one_cluster_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.3)

    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            entries = daemon.store.journal.last
            async with asyncio.timeout(60):
                while daemon.store.journal.last == entries:  # nothing but what is posted
                    body = bodies([raw(entries)])[0]
                    assert (await daemon.webhook.accept("busy", body, "here")).status == 200
                    entries += 1

    run(scenario)


def test_all_alerts_that_are_too_many_go_in_one_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIDY", 0.01)

    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            left = [AT_ONCE, AT_ONCE, AT_ONCE - 1]

            def expire() -> Future[int]:
                future: Future[int] = Future()
                future.set_result(left.pop(0) if left else 0)
                monkeypatch.setattr(module, "TIDY", 3600)
                return future

            monkeypatch.setattr(daemon.store.state, "expire", expire)
            await until(lambda: not left)

    run(scenario)


def test_what_waits_for_a_sink_that_is_gone_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIDY", 0.01)
    with Store(tmp_path / "data") as store:
        store.journal.append(Kind.tick, "", b"", received_at=0).result(60)
        monkeypatch.setattr(store.state, "_clock", lambda: 0)
        store.state.emit(0, [alert()], [Message("gone", 0)]).result(60)

    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            await until(lambda: daemon.store.state.outbox_depth()["gone"].buried)
            assert daemon.store.state.outbox_depth()["gone"].waiting == 0

    run(scenario)


def test_metrics_tell_of_commits_bodies_and_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path, store={"snapshot_every": "1s"})) as daemon:
            await take(daemon)
            await until(daemon.store.snapshots.offsets)
            assert (await daemon.webhook.accept("prod", b"nothing", "here")).status == 400
            monkeypatch.setattr(daemon.store.journal, "append", lambda *_, **__: full())
            assert (await daemon.webhook.accept("prod", BODY, "here")).status == 429
            monkeypatch.undo()
            await daemon.backend.measure()
            value = daemon.metrics.registry.get_sample_value
            assert value("redshank_journal_commit_seconds_count") == 1
            assert value("redshank_journal_full_total") == 1
            assert value("redshank_dead_letters_total", {"kind": "body"}) == 1
            assert (value("redshank_snapshot_timestamp_seconds") or 0) > 0
            assert (value("redshank_snapshot_bytes") or 0) > 0

    run(scenario)


def test_a_disk_that_is_slow_to_read_keeps_no_api_server_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            reading, go_on = threading.Event(), threading.Event()
            whole = daemon.readings._read

            def slow(*given: Any) -> Reading:
                reading.set()
                assert go_on.wait(60)
                return whole(*given)

            monkeypatch.setattr(daemon.readings, "_read", slow)
            asked = [asyncio.create_task(one) for one in (daemon.backend.measure(), daemon.backend.status())]
            await asyncio.to_thread(reading.wait, 60)
            await take(daemon)
            assert not any(one.done() for one in asked)
            go_on.set()
            await asyncio.gather(*asked)

    run(scenario)


def test_the_journal_is_relieved_while_nothing_makes_it_full_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path, store={"snapshot_every": "10m"})) as daemon:
            journal = daemon.store.journal
            await take(daemon, bodies([raw(n, userAgent=str(n) * 50) for n in range(2000)], 2000)[0])
            scarce = journal.used * 9 // 8
            monkeypatch.setattr(journal, "_capacity", lambda: (journal.limit, scarce))
            assert journal.pressed
            assert not journal.trouble()
            await take(daemon)
            await until(lambda: not journal.pressed)
            assert daemon.store.snapshots.offsets()

    run(scenario)


def test_a_batch_that_is_put_off_makes_room_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path, store={"snapshot_every": "10m"})) as daemon:
            journal = daemon.store.journal
            await take(daemon, bodies([raw(n, userAgent=str(n) * 50) for n in range(2000)], 2000)[0])
            scarce = journal.used * 2 // 3
            monkeypatch.setattr(journal, "_capacity", lambda: (journal.limit, scarce))
            assert (await daemon.webhook.accept("prod", BODY, "here")).status == 429
            await until(lambda: not journal.trouble())
            await take(daemon)

    run(scenario)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://0.0.0.0:8889", socket.gethostname()),
        ("https://[::]:8889", socket.gethostname()),
        ("http://:8889", socket.gethostname()),
        ("http://127.0.0.1:8889", "127.0.0.1"),
        ("https://[::1]:8889", "[::1]"),
        ("https://redshank.example:8889", "redshank.example"),
    ],
)
def test_where_it_listens_is_told_as_others_reach_it(url: str, host: str) -> None:
    assert module._shown(url) == f"{url.partition(':')[0]}://{host}:8889"


def test_the_fold_tells_how_much_memory_it_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(written(tmp_path)) as daemon:
            await daemon.backend.measure()
            assert (daemon.metrics.registry.get_sample_value("redshank_fold_memory_bytes") or 0) > 1 << 20

    run(scenario)
