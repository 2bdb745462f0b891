"""Health, metrics and the API: who may use them, and what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector.alerts.suppress import Lift, Suppression
from detector.config import WebSettings
from detector.errors import ConfigError, RedshankError, StoreFullError
from detector.event import SECOND, micros
from detector.finding import Level, Verdict
from detector.listen import Address, hash_token
from detector.memory.seed import Seed, entries_of
from detector.metrics import Metrics
from detector.store.alerts import StoredAlert, Wanted
from detector.store.dead_letters import DeadLetter
from detector.store.deliveries import NOTHING, Depth, Outstanding
from detector.web import Api, Heard, Redelivery, Status, Web
from tests.encodings.making import START, alert
from tests.listen.talking import Authority, Client, Reply, client, request, run

NOW = START + 60 * SECOND
TOKEN: dict[str, Any] = {"tokens": (hash_token("t-api"),)}
SUPPRESSION = {"owner": "sre", "reason": "backup job", "until": "2026-04-01T00:00:00Z", "actor": "backup"}


class Fake:
    """A daemon with two alerts. What it is told of controls, it keeps."""

    def __init__(self) -> None:
        self.trouble = ""
        self.measured = 0
        self.asked: list[Any] = []
        self.controls: list[Suppression | Lift | Verdict | Seed] = []
        self.error: Exception | None = None
        judged: dict[str, Any] = {"verdict": "dismissed", "who": "ann", "why": "drill", "at": NOW}
        quiet: dict[str, Any] = {"verdict": "", "who": "", "why": "", "at": 0}
        self.stored = [
            StoredAlert(alert=alert(id="b" * 32), place=2, **judged),
            StoredAlert(alert=alert(id="a" * 32), place=1, **quiet),
        ]

    def ready(self) -> str:
        return self.trouble

    async def health(self) -> Mapping[str, str]:
        return {"sink siem": "connection refused"}

    async def status(self) -> Status:
        heard = Heard(NOW, 1.5)
        return Status(
            version="1.2.3",
            started_at=START,
            webhook="http://127.0.0.1:8889",
            clusters={"prod": heard, "test": None},
            sinks=("siem",),
            outbox={
                "siem": NOTHING,
                "gone": Depth(waiting=2, bytes=9, oldest=NOW, buried=1, displaced=3, lost=4),
            },
            rules="ab",
            last=7,
            folded=6,
            used=100,
            lag=0.5,
            restarts=0,
        )

    async def measure(self) -> None:
        self.measured += 1

    def now(self) -> int:
        return NOW

    async def alerts(self, wanted: Wanted, limit: int) -> Sequence[StoredAlert]:
        str(wanted).encode()
        self.asked.append((wanted, limit))
        return self.stored[:limit]

    async def alert(self, name: str) -> StoredAlert | None:
        return next((one for one in self.stored if one.alert.id == name), None)

    async def deliveries(self, name: str) -> Sequence[Outstanding]:
        return [Outstanding("siem", 2, "connection refused", NOW, NOW + SECOND, buried=False)] * (name[0] == "a")

    async def inject(self, cluster: str, mark: str) -> str:
        if self.error is not None:
            raise self.error
        self.asked.append((cluster, mark))
        return "audit-1"

    async def suppressions(self) -> Sequence[Suppression]:
        return [Suppression(id="s1", owner="sre", reason="r", until=NOW + SECOND, actor="backup")]

    def silenced(self) -> Mapping[str, int]:
        return {"s1": 12}

    async def dead_letters(self, kind: str | None, limit: int) -> Sequence[DeadLetter]:
        self.asked.append((kind, limit))
        return [DeadLetter(7, "body", "prod", "no JSON", "ab" * 32, 3, "10.0.0.1", 0, 5, NOW, NOW, b"\xff", "", "")]

    async def redeliver(self, which: Redelivery) -> int:
        self.asked.append(which)
        return 3

    async def control(self, control: Suppression | Lift | Verdict | Seed) -> None:
        if self.error is not None:
            raise self.error
        self.controls.append(control)


@asynccontextmanager
async def serving(fake: Fake, local: Path | None = None, **settings: Any) -> AsyncIterator[tuple[Web, Address]]:
    whole = WebSettings.model_validate({"listen": "127.0.0.1:0", **settings})
    web = Web(whole, fake, Metrics("1.2.3").registry, Api(fake).routes())
    await web.start(local)
    try:
        yield web, web.addresses[0]
    finally:
        await web.stop(5.0)


@asynccontextmanager
async def talking(fake: Fake, folder: Path) -> AsyncIterator[Client]:
    """Connect through the Unix socket."""
    path = folder / "admin.sock"
    async with serving(fake, path), client(path) as one:
        yield one


async def ask(one: Client, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    sent = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    # The helper adds a query of its own, as an API server does.
    await one.say(request(path, sent, method, **headers).replace(b"?timeout=30s", b"", 1))
    return await one.reply()


async def told(one: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    reply = await ask(one, method, path, body)
    return reply.status, orjson.loads(reply.body)


def test_probes_and_metrics_are_for_everybody() -> None:
    fake = Fake()

    async def scenario() -> None:
        async with serving(fake, **TOKEN) as (_, address), client(address) as one:
            for path, text in (("/healthz", b"alive"), ("/readyz", b"ready"), ("/metrics", b"redshank_info")):
                reply = await ask(one, "GET", path)
                assert (reply.status, text in reply.body) == (200, True)
            assert fake.measured == 1

    run(scenario())


def test_who_cannot_accept_is_alive_and_not_ready() -> None:
    fake = Fake()
    fake.trouble = "the journal has no room"

    async def scenario() -> None:
        async with serving(fake) as (_, address), client(address) as one:
            assert (await ask(one, "GET", "/healthz")).status == 200
            reply = await ask(one, "GET", "/readyz")
            assert (reply.status, reply.body) == (503, b"not ready: the journal has no room\n")

    run(scenario())


@pytest.mark.parametrize(
    ("accept", "kind", "end"),
    [
        ("", "text/plain; version=0.0.4", b"\n"),
        ("text/html", "text/plain; version=0.0.4", b"\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", b"# EOF\n"),
    ],
)
def test_metrics_come_in_the_format_asked_for(accept: str, kind: str, end: bytes) -> None:
    async def scenario() -> None:
        async with serving(Fake()) as (_, address), client(address) as one:
            reply = await ask(one, "GET", "/metrics", Accept=accept)
            assert reply.headers["content-type"].startswith(kind)
            assert reply.body.endswith(end)

    run(scenario())


@pytest.mark.parametrize(
    ("settings", "authorization", "status"),
    [
        (TOKEN, "Bearer t-api", 200),
        (TOKEN, "Bearer wrong", 401),
        (TOKEN, "", 401),
        ({}, "Bearer t-api", 403),
        ({}, "", 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/alerts", "/%61pi/alerts"])
def test_the_api_wants_a_token(settings: dict[str, Any], authorization: str, status: int, path: str) -> None:
    async def scenario() -> None:
        async with serving(Fake(), **settings) as (_, address), client(address) as one:
            reply = await ask(one, "GET", path, Authorization=authorization)
            assert reply.status == status
            assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/alerts"), ("POST", "/api/suppressions"), ("POST", "/api/no-such-thing")]
)
def test_without_a_token_nothing_reaches_the_daemon(method: str, path: str) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with serving(fake, **TOKEN) as (_, address), client(address) as one:
            assert (await ask(one, method, path, SUPPRESSION)).status == 401

    run(scenario())
    assert not fake.asked
    assert not fake.controls


def test_the_unix_socket_needs_no_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            assert (await told(one, "GET", "/api/health")) == (
                200,
                {"ready": "yes", "troubles": {"sink siem": "connection refused"}},
            )

    run(scenario())


def test_other_machines_are_not_listened_to_without_tls() -> None:
    settings = WebSettings(listen="[::]:0", **TOKEN)
    with pytest.raises(ConfigError, match=r"web\.tls"):
        Web(settings, Fake(), Metrics().registry)


def test_even_when_they_are_the_api_stays_closed_without_tls() -> None:
    settings = {"listen": ".".join("0000") + ":0", "insecure": True, **TOKEN}

    async def scenario() -> None:
        async with serving(Fake(), **settings) as (_, address), client(Address("127.0.0.1", address.port)) as one:
            assert (await ask(one, "GET", "/metrics")).status == 200
            assert (await ask(one, "GET", "/api/alerts", Authorization="Bearer t-api")).status == 403

    run(scenario())


def test_over_tls_the_api_is_open_to_tokens(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    settings = {"tls": authority.settings().model_dump(), **TOKEN}

    async def scenario() -> None:
        async with serving(Fake(), **settings) as (_, address), client(address, authority.trusting()) as one:
            assert (await ask(one, "GET", "/api/alerts", Authorization="Bearer t-api")).status == 200

    run(scenario())


def test_new_tokens_hold_at_once_and_a_new_address_is_refused() -> None:
    async def scenario() -> None:
        async with serving(Fake(), **TOKEN) as (web, address), client(address) as one:
            web.reload(WebSettings(listen="127.0.0.1:0", tokens=(hash_token("new"),)))
            assert (await ask(one, "GET", "/api/alerts", Authorization="Bearer t-api")).status == 401
            assert (await ask(one, "GET", "/api/alerts", Authorization="Bearer new")).status == 200
            with pytest.raises(ConfigError, match="restart"):
                web.reload(WebSettings(listen="127.0.0.1:1"))

    run(scenario())


def test_alerts_are_listed_a_page_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            status, page = await told(one, "GET", "/api/alerts?limit=1")
            assert (status, page["next"]) == (200, 2)
            (first,) = page["alerts"]
            assert first["id"] == "b" * 32
            assert first["level"] == "critical"
            assert first["verdict"] == {
                "judgement": "dismissed",
                "who": "ann",
                "why": "drill",
                "at": "2026-03-05T14:04:11.123456Z",
            }
            assert "samples" not in first
            _, page = await told(one, "GET", "/api/alerts")
            assert page["next"] is None
            assert page["alerts"][1]["verdict"] is None

    run(scenario())


def test_every_part_of_a_query_reaches_the_store(tmp_path: Path) -> None:
    fake = Fake()
    query = (
        "level=high&cluster=prod&actor=jane%40example.com&rule=Rights&status=open&verdict="
        "&since=2026-03-05T14:03:11%2B00:00&before=9&limit=5"
    )

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            assert (await ask(one, "GET", f"/api/alerts?{query}")).status == 200

    run(scenario())
    wanted = Wanted(
        level=Level.high,
        cluster="prod",
        actor="jane@example.com",
        rule="Rights",
        status="open",
        verdict="",
        since=micros("2026-03-05T14:03:11Z"),
        before=9,
    )
    assert fake.asked == [(wanted, 5)]


@pytest.mark.parametrize(
    "query",
    [
        "level=loud",
        "limit=0",
        "limit=1001",
        "limit=x",
        "since=yesterday",
        "before=-1",
        "before=9" + "9" * 30,
        "colour=red",
    ],
)
def test_a_query_of_no_sense_is_refused_with_its_name(tmp_path: Path, query: str) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            status, said = await told(one, "GET", f"/api/alerts?{query}")
            assert status == 400
            assert query.partition("=")[0] in said["error"]

    run(scenario())


@pytest.mark.parametrize("text", ["%ED%A0%80", "%FF", "%00", "%F0%9F%92%A9", "';--"])
def test_hostile_text_in_a_query_is_only_text(tmp_path: Path, text: str) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            assert (await ask(one, "GET", f"/api/alerts?actor={text}")).status == 200

    run(scenario())


def test_one_alert_is_shown_with_its_samples(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            status, shown = await told(one, "GET", f"/api/alerts/{'a' * 32}")
            assert status == 200
            assert shown["samples"]
            assert (await told(one, "GET", "/api/alerts/none"))[0] == 404

    run(scenario())


@pytest.mark.parametrize(("verb", "judgement"), [("dismiss", "dismissed"), ("confirm", "confirmed")])
def test_a_verdict_goes_into_the_log_with_who_and_why(tmp_path: Path, verb: str, judgement: str) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            said = {"who": "ann", "why": "drill"}
            status, _ = await told(one, "POST", f"/api/alerts/{'a' * 32}/{verb}", said)
            assert status == 202

    run(scenario())
    assert fake.controls == [Verdict("a" * 32, judgement, "ann", "drill", NOW)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("none/dismiss", {"who": "ann", "why": "drill"}, 404),
        ("a/forget", {"who": "ann", "why": "drill"}, 404),
        ("{id}/dismiss", {"who": "ann"}, 400),
        ("{id}/dismiss", {"who": "", "why": "x"}, 400),
        ("{id}/dismiss", {"who": "ann", "why": "x" * 2_001}, 400),
        ("{id}/dismiss", {"who": "ann", "why": "x", "more": 1}, 400),
        ("{id}/dismiss", b'{"who": "\\ud800", "why": "x"}', 400),
        ("{id}/dismiss", b"\xff", 400),
        ("{id}/dismiss", b"", 400),
        ("{id}/dismiss", b"[" * 60_000, 400),
        ("{id}/dismiss", b" " * 70_000, 413),
    ],
)
def test_a_verdict_of_no_sense_is_refused(tmp_path: Path, path: str, body: Any, status: int) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            reply = await ask(one, "POST", "/api/alerts/" + path.replace("{id}", "a" * 32), body)
            assert reply.status == status
            assert orjson.loads(reply.body)["error"]

    run(scenario())
    assert not fake.controls


def test_a_suppression_goes_into_the_log_under_an_id_of_its_own(tmp_path: Path) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            ids = {(await told(one, "POST", "/api/suppressions", SUPPRESSION))[1]["id"] for _ in range(2)}
            assert ids == {one.id for one in fake.controls if isinstance(one, Suppression)}
            assert len(ids) == 2

    run(scenario())
    first = fake.controls[0]
    assert isinstance(first, Suppression)
    assert (first.owner, first.reason, first.actor) == ("sre", "backup job", "backup")
    assert first.until == micros("2026-04-01T00:00:00Z")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"until": "2026-03-01T00:00:00Z"}, "until"),
        ({"until": "2028-03-01T00:00:00Z"}, "until"),
        ({"until": "soon"}, "until"),
        ({"actor": "*"}, "silence everything"),
        ({"actor": ""}, "silence everything"),
        ({"owner": ""}, "owner"),
        ({"reason": ""}, "reason"),
        ({"rule": "x" * 501}, "rule"),
        ({"id": "mine"}, "id"),
    ],
)
def test_a_suppression_of_no_sense_is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            status, said = await told(one, "POST", "/api/suppressions", {**SUPPRESSION, **change})
            assert status == 400
            assert named in said["error"]

    run(scenario())
    assert not fake.controls


def test_suppressions_are_listed_and_lifted(tmp_path: Path) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            _, listed = await told(one, "GET", "/api/suppressions")
            assert [(each["id"], each["until"], each["silenced"]) for each in listed["suppressions"]] == [
                ("s1", "2026-03-05T14:04:12.123456Z", 12)
            ]
            said = {"who": "ann", "why": "over"}
            assert (await told(one, "DELETE", "/api/suppressions/s1", said))[0] == 202
            assert (await told(one, "DELETE", "/api/suppressions/s2", said))[0] == 404

    run(scenario())
    assert fake.controls == [Lift("s1", "ann", "over")]


def test_dead_letters_are_listed_whatever_bytes_they_hold(tmp_path: Path) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            status, listed = await told(one, "GET", "/api/dead-letters?kind=body&limit=7")
            assert status == 200
            (letter,) = listed["dead_letters"]
            assert (letter["reason"], letter["first_at"]) == ("no JSON", "2026-03-05T14:04:11.123456Z")
            assert (await told(one, "GET", "/api/dead-letters?kind=other"))[0] == 400

    run(scenario())
    assert fake.asked == [("body", 7)]


@pytest.mark.parametrize(
    ("body", "which"),
    [
        ({"ids": [1, 2]}, Redelivery(ids=(1, 2))),
        ({"sink": "siem"}, Redelivery(sink="siem")),
        ({"all": True}, Redelivery(all=True)),
        ({}, None),
        ({"ids": [1], "all": True}, None),
        ({"ids": ["x"]}, None),
        (b'{"ids": [1180591620717411303424]}', None),
    ],
)
def test_buried_deliveries_are_sent_again_when_it_is_clear_which(
    tmp_path: Path, body: Any, which: Redelivery | None
) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            status, said = await told(one, "POST", "/api/dead-letters/redeliver", body)
            assert (status, said.get("redelivered")) == ((202, 3) if which else (400, None))

    run(scenario())
    assert fake.asked == ([which] if which else [])


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreFullError("no room"), 503), (RedshankError("lift one first"), 400), (RuntimeError("ours"), 500)],
)
def test_errors_of_the_daemon_are_answered_by_what_to_do(tmp_path: Path, error: Exception, status: int) -> None:
    fake = Fake()
    fake.error = error

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            reply = await ask(one, "POST", "/api/suppressions", SUPPRESSION)
            assert (reply.status, reply.headers.get("retry-after")) == (status, "1" if status == 503 else None)
            assert (str(error).encode() in reply.body) == (status != 500)

    run(scenario())


def test_other_methods_and_paths_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            reply = await ask(one, "PUT", "/api/alerts", {})
            assert (reply.status, reply.headers["allow"]) == (405, "GET,HEAD")
        async with talking(Fake(), tmp_path) as one:
            assert (await told(one, "GET", "/api/none"))[0] == 404

    run(scenario())


def test_answers_of_the_api_are_neither_kept_nor_guessed_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            headers = (await ask(one, "GET", "/api/alerts")).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-type"] == "application/json"

    run(scenario())


def test_what_sinks_have_not_taken_of_an_alert_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            status, answer = await told(one, "GET", f"/api/alerts/{'a' * 32}/deliveries")
            assert status == 200
            assert answer["deliveries"] == [
                {
                    "sink": "siem",
                    "tries": 2,
                    "error": "connection refused",
                    "created_at": "2026-03-05T14:04:11.123456Z",
                    "due_at": "2026-03-05T14:04:12.123456Z",
                    "buried": False,
                }
            ]
            assert (await told(one, "GET", f"/api/alerts/{'b' * 32}/deliveries")) == (200, {"deliveries": []})
            assert (await told(one, "GET", "/api/alerts/none/deliveries"))[0] == 404

    run(scenario())


def test_status_says_what_runs_and_when_clusters_were_heard_of(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(Fake(), tmp_path) as one:
            status, answer = await told(one, "GET", "/api/status")
            assert (status, answer["started_at"]) == (200, "2026-03-05T14:03:11.123456Z")
            assert answer["clusters"] == {
                "prod": {"last_at": "2026-03-05T14:04:11.123456Z", "age": 1.5},
                "test": None,
            }
            assert (answer["last"], answer["folded"], answer["sinks"]) == (7, 6, ["siem"])
            left = {"waiting": 2, "bytes": 9, "oldest": "2026-03-05T14:04:11.123456Z", "buried": 1}
            assert answer["outbox"]["gone"] == {**left, "displaced": 3, "lost": 4}
            assert answer["outbox"]["siem"]["oldest"] is None

    run(scenario())


def test_a_test_is_sent_through_everything(tmp_path: Path) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            body = {"cluster": "prod", "mark": "5e"}
            assert (await told(one, "POST", "/api/tests", body)) == (202, {"audit_id": "audit-1"})
            assert fake.asked == [("prod", "5e")]
            fake.error = RedshankError("no such cluster is configured")
            assert (await told(one, "POST", "/api/tests", body)) == (400, {"error": str(fake.error)})

    run(scenario())


@pytest.mark.parametrize("mark", ["", "5", "5E", "xx", "5e\n", "005e", None])
def test_a_test_with_a_mark_of_no_sense_is_refused(tmp_path: Path, mark: str | None) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            assert (await told(one, "POST", "/api/tests", {"cluster": "prod", "mark": mark}))[0] == 400

    run(scenario())
    assert not fake.asked


POD: dict[str, Any] = {"kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": []}}


def test_what_memory_is_told_goes_into_the_log(tmp_path: Path) -> None:
    fake, entries = Fake(), entries_of([POD])

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            status, _ = await told(one, "POST", "/api/memory", {"who": "ann", "cluster": "prod", "entries": entries})
            assert status == 202

    run(scenario())
    assert fake.controls == [Seed(entries, "prod", "ann", NOW)]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cluster": "elsewhere"}, 404),
        ({"entries": {"ghosts": [[["x"], {}]]}}, 400),
        ({"entries": {"pods": [[["n", "p"], {"at": "now"}]]}}, 400),
        ({"entries": {"pods": [["n", {"at": 0}]]}}, 400),
        ({"entries": []}, 400),
        ({"who": ""}, 400),
    ],
)
def test_what_memory_cannot_take_in_is_refused(tmp_path: Path, change: dict[str, Any], status: int) -> None:
    fake = Fake()

    async def scenario() -> None:
        async with talking(fake, tmp_path) as one:
            body = {"who": "ann", "cluster": "prod", "entries": {"pods": [[["n", "p"], {"at": 0}]]}, **change}
            reply = await ask(one, "POST", "/api/memory", body)
            assert reply.status == status
            assert orjson.loads(reply.body)["error"]

    run(scenario())
    assert not fake.controls
