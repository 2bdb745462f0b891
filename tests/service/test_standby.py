"""One redshank waits for the data directory of another, and goes on in its place."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.service import standby as module
from detector.service.configuration import Configuration
from detector.service.daemon import Signals
from detector.service.standby import Standby
from detector.store.directory import Lock, Store
from detector.web import Web
from tests.support import rule


def written(folder: Path, **settings: Any) -> Path:
    """Write a file of settings."""
    some = {"data_dir": str(folder / "data"), "webhook": {"listen": "127.0.0.1:0"}, "web": {"listen": "127.0.0.1:0"}}
    file = folder / "redshank.yaml"
    file.write_text(yaml.safe_dump({"stop_within": "2s", "sinks": [], **some, **settings}))
    return file


def standby(file: Path) -> Standby:
    return Standby(Configuration(file, {}), Signals(asyncio.Event(), asyncio.Event()))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(in_time())


@pytest.fixture
def active(tmp_path: Path) -> Lock:
    """What the other one holds."""
    with Store(tmp_path / "data"):
        pass
    return Lock(tmp_path / "data" / "lock")


async def asked(address: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{address}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(get)


def test_it_takes_over_when_the_other_is_gone(tmp_path: Path, active: Lock) -> None:
    async def scenario() -> None:
        one = standby(written(tmp_path))
        waiting = asyncio.create_task(one.wait())
        await asyncio.sleep(3 * module.TRY)
        assert not waiting.done()
        active.close()
        daemon = await waiting
        assert daemon is not None
        running = asyncio.create_task(daemon.run())
        await daemon.folding.ready.wait()
        daemon.signals.stopping.set()
        await running

    run(scenario)


def test_while_it_waits_it_is_alive_and_not_ready(
    tmp_path: Path, active: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        one = standby(written(tmp_path))
        shown = asyncio.Queue[str]()
        start = Web.start

        async def started(web: Any, *given: Any) -> None:
            await start(web, *given)
            shown.put_nowait(str(web.addresses[0]))

        monkeypatch.setattr(Web, "start", started)
        waiting = asyncio.create_task(one.wait())
        address = await shown.get()
        assert (await asked(f"{address}/healthz"))[0] == 200
        assert await asked(f"{address}/readyz") == (503, "not ready: standing by, another redshank is active\n")
        assert "redshank_ready 0.0" in (await asked(f"{address}/metrics"))[1]
        assert (await asked(f"{address}/api/alerts"))[0] in {403, 404}
        one._signals.stopping.set()
        assert await waiting is None

    with closing(active):
        run(scenario)


def test_without_an_address_of_its_own_it_waits_all_the_same(tmp_path: Path, active: Lock) -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            one = standby(written(tmp_path, web={"listen": f"127.0.0.1:{port}"}))
            waiting = asyncio.create_task(one.wait())
            await asyncio.sleep(3 * module.TRY)
            assert not waiting.done()
            one._signals.stopping.set()
            assert await waiting is None

    with closing(active):
        run(scenario)


def test_it_takes_over_with_the_rules_of_now(tmp_path: Path, active: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCH", 0.05)
    mine = tmp_path / "mine.yml"
    mine.write_text(yaml.safe_dump(rule("Old")))

    async def scenario() -> None:
        one = standby(written(tmp_path, rules={"builtin": False, "paths": [str(mine)]}))
        waiting = asyncio.create_task(one.wait())
        mine.write_text("title: broken")
        await asyncio.sleep(0.3)
        assert "Old" in one.configuration.rules.files[0].text
        mine.write_text(yaml.safe_dump(rule("New", level="high")))
        while "New" not in one.configuration.rules.files[0].text:
            await asyncio.sleep(0.01)
        one._signals.stopping.set()
        assert await waiting is None

    with closing(active):
        run(scenario)
