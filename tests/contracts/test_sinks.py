"""Every sink, found by itself: delivers, tries again, isolates, survives, closes, explains itself, keeps secrets."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from detector.finding import Alert
from detector.outbox import Outbox
from detector.sinks import SINKS, AnySink
from detector.sinks.base import SystemClock
from detector.sinks.settings import SinkSettings
from tests.sinks.destinations import DESTINATIONS, SECRET, Destination, HttpDestination
from tests.sinks.doubles import FakeClock, Store, alert, messages, until

HOSTILE = "x\x1b[31m\r\n\u202e<!channel>|pwned\\\"]= {{7*7}} `id` \u2028' OR 1=1 \U0001f600\x00\x7f"
ANY: TypeAdapter[SinkSettings] = TypeAdapter(AnySink)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path)) as opened:
        yield opened


def kind(settings: type[SinkSettings]) -> str:
    return str(settings.model_fields["type"].default)


def only(condition: Callable[[type[Destination]], bool]) -> pytest.MarkDecorator:
    """Run a test for some destinations."""
    chosen = [settings for settings, one in DESTINATIONS.items() if condition(one)]
    return pytest.mark.parametrize("destination", chosen, ids=kind, indirect=True)


@pytest.fixture(params=SINKS, ids=kind)
def destination(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    return DESTINATIONS[request.param](tmp_path, monkeypatch)


@asynccontextmanager
async def sending(store: Store, settings: SinkSettings) -> AsyncIterator[Outbox]:
    outbox = Outbox(store, FakeClock())
    await outbox.configure([settings])
    try:
        yield outbox
    finally:
        await outbox.close(5)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario, which has to clean up after itself."""

    async def main() -> None:
        await scenario()
        ours = {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}  # that is the server's
        assert ours == {asyncio.current_task()}, "left running"

    asyncio.run(main())


def ids(*numbers: int) -> set[str]:
    return {alert(number).id for number in numbers}


def test_every_sink_has_a_destination_to_be_tested_with() -> None:
    assert set(DESTINATIONS) == set(SINKS)
    kinds = [kind(settings) for settings in SINKS]
    assert len(set(kinds)) == len(kinds) >= 9


def test_what_is_sent_arrives(store: Store, destination: Destination) -> None:
    async def scenario() -> None:
        await destination.start()
        store.add("a", *map(alert, range(25)))
        async with sending(store, destination.configured()):
            await until(lambda: not store.waiting and len(destination.got) >= 25)
        await destination.stop()

    run(scenario)
    assert set(destination.got) == ids(*range(25))
    assert destination.repeats or len(destination.got) == 25
    assert not store.puts_off


def test_what_cannot_be_sent_now_arrives_later(store: Store, destination: Destination) -> None:
    async def scenario() -> None:
        await destination.start()  # so that it has an address
        settings = destination.configured()
        await destination.stop()
        store.add("a", *map(alert, range(5)))
        async with sending(store, settings) as outbox:
            await until(lambda: outbox.trouble)
            assert not destination.got
            await destination.start()
            await until(lambda: not store.waiting and len(destination.got) >= 5)
        await destination.stop()

    run(scenario)
    assert set(destination.got) == ids(*range(5))
    assert not store.buried


FAULTY = [
    pytest.param(settings, fault, id=f"{kind(settings)}-{fault}")
    for settings, one in DESTINATIONS.items()
    for fault in one.faults
]


@pytest.mark.parametrize(("settings", "fault"), FAULTY)
def test_nothing_is_lost_on_a_destination_that_misbehaves(
    settings: type[SinkSettings], fault: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = DESTINATIONS[settings](tmp_path, monkeypatch)

    async def scenario() -> None:
        await destination.start([fault])
        store.add("a", *map(alert, range(3)))
        async with sending(store, destination.configured(timeout="0.3s")):
            await until(lambda: not store.waiting and len(destination.got) >= 3)
        await destination.stop()

    run(scenario)
    assert set(destination.got) == ids(0, 1, 2)
    assert not store.buried
    assert all(error.isprintable() and len(error) <= 500 for _, _, error in store.puts_off)


@only(lambda one: one.refuses)
def test_an_alert_that_is_refused_goes_to_the_dead_letters_and_costs_no_other(
    store: Store, destination: Destination
) -> None:
    async def scenario() -> None:
        await destination.start()
        destination.poison = ids(3, 7)
        store.add("a", *map(alert, range(12)))
        async with sending(store, destination.configured()):
            await until(lambda: not store.waiting)
        await destination.stop()

    run(scenario)
    assert {letter.alert for letter in store.buried} == ids(3, 7)
    assert set(destination.got) == ids(*range(12)) - ids(3, 7)
    assert all("400" in letter.reason for letter in store.buried)


def hostile(number: int) -> Alert:
    sample = {"verb": HOSTILE, "user": {"username": HOSTILE}, "userAgent": HOSTILE * 50, "requestURI": f"/{HOSTILE}"}
    texts: dict[str, Any] = {
        "title": HOSTILE,
        "actor": HOSTILE,
        "message": HOSTILE,
        "cluster": HOSTILE,
        "actor_kind": HOSTILE,
    }
    return alert(number, **texts, targets=(HOSTILE,) * 40, sources=(HOSTILE, "::1%eth0"), samples=(sample,) * 3)


def test_hostile_text_arrives_as_one_harmless_message_for_each_alert(store: Store, destination: Destination) -> None:
    async def scenario() -> None:
        await destination.start()
        store.add("a", *map(hostile, range(3)))
        async with sending(store, destination.configured()):
            await until(lambda: not store.waiting and len(destination.got) >= 3)
        await destination.stop()

    run(scenario)
    assert set(destination.got) == ids(0, 1, 2)
    assert destination.repeats or len(destination.got) == 3


def test_a_sink_that_was_never_used_closes(destination: Destination) -> None:
    async def scenario() -> None:
        await destination.configured().open(SystemClock()).close()

    run(scenario)


@only(lambda one: issubclass(one, HttpDestination))
def test_a_sink_in_the_middle_of_sending_closes(store: Store, destination: Destination) -> None:
    assert isinstance(destination, HttpDestination)
    server = destination.server

    async def scenario() -> None:
        await destination.start(["hang"])
        store.add("a", alert())
        outbox = Outbox(store)
        await outbox.configure([destination.configured(timeout="30s")])
        await until(lambda: server.requests)
        await outbox.close(0)
        await destination.stop()

    run(scenario)
    assert len(store.waiting) == 1


def test_an_empty_batch_of_repetitions_is_nothing(destination: Destination) -> None:
    async def scenario() -> None:
        sink = destination.configured().open(FakeClock())
        sink.resume([])
        await sink.again()
        await sink.close()

    run(scenario)


@pytest.mark.parametrize("settings", SINKS)
def test_every_option_is_described_and_shown(settings: type[SinkSettings]) -> None:
    assert inspect.cleandoc(settings.__doc__ or "").endswith(".")
    for name, field in settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.examples or name == "url", name
        if name == "type":
            assert field.examples == [field.default]


@pytest.mark.parametrize("settings", SINKS)
def test_every_example_is_valid(settings: type[SinkSettings]) -> None:
    for name, field in settings.model_fields.items():
        for example in field.examples or ():
            with pytest.raises(ValidationError) as caught:
                settings(**{name: example, "nonsense": "so that there is an error always"})
            assert name not in {problem["loc"][0] for problem in caught.value.errors() if problem["loc"]}


@pytest.mark.parametrize("settings", SINKS)
def test_unknown_options_are_refused(settings: type[SinkSettings]) -> None:
    with pytest.raises(ValidationError, match="nonsense"):
        settings(**{"name": "a", "nonsense": 1})


def test_settings_survive_being_written_and_read(destination: Destination) -> None:
    settings = destination.configured()
    written = settings.model_dump(mode="json")
    secrets = {name: getattr(settings, name) for name in written if isinstance(getattr(settings, name), SecretStr)}
    shown = {name: secret.get_secret_value() for name, secret in secrets.items()}
    headers = {"headers": {"X-Key": SECRET}} if "headers" in written else {}
    assert ANY.validate_python({**written, **shown, **headers}) == settings


def test_secrets_are_never_told(
    store: Store, destination: Destination, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    async def scenario() -> None:
        await destination.start()
        server = destination.server if isinstance(destination, HttpDestination) else None
        if server is not None:
            server.echo = True
        settings = destination.configured()
        told.extend((repr(settings), str(settings), settings.model_dump_json()))
        store.add("a", alert())
        async with sending(store, settings) as outbox:
            if server is not None:
                await until(lambda: outbox.trouble and store.puts_off)
                told.extend(outbox.trouble.values())
            else:
                await until(lambda: not store.waiting)
        await destination.stop()

    run(scenario)
    told += [error for _, _, error in store.puts_off]
    told += [*capsys.readouterr(), messages(caplog), caplog.text]
    assert SECRET not in "\n".join(told)


def test_secrets_are_not_told_by_errors_about_settings(destination: Destination) -> None:
    with pytest.raises(ValidationError) as caught:
        destination.configured(**{**destination.options(), "batch_size": "many", "min_level": "huge"})
    assert SECRET not in str(caught.value)
