"""``/api``: alerts, what people say of them, suppressions, dead letters. JSON both ways, times as RFC 3339 in UTC."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from detector.alerts.suppress import Lift, Suppression
from detector.encodings import native
from detector.event import SECOND, micros, rfc3339
from detector.finding import CONFIRMED, DISMISSED, Level, Verdict
from detector.memory import Memory
from detector.memory.seed import Entries, Seed
from detector.store.alerts import StoredAlert, Wanted
from detector.web.backend import Backend, Redelivery

T = TypeVar("T")

READ_WITHIN = 30.0
"""Seconds for the body of a request."""
MOST = 1_000
"""Entries in one answer."""
LONGEST = 366 * 86_400 * SECOND
"""Microseconds a suppression may last: what nobody renews in a year is not wanted any more."""
TIMES = frozenset({"until", "first_at", "last_at", "created_at", "due_at", "started_at", "oldest"})
"""Keys of answers whose values are times."""
JUDGEMENTS = {"dismiss": DISMISSED, "confirm": CONFIRMED}

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Place = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Pattern = Annotated[str, msgspec.Meta(max_length=500)]


class ApiError(Exception):
    """A request is answered with an error; ``status`` and what to do about it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AlertQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of ``GET /api/alerts``."""

    level: Literal["informational", "low", "medium", "high", "critical"] | None = None
    """The lowest."""
    cluster: str | None = None
    actor: str | None = None
    rule: str | None = None
    """Id or title."""
    status: Literal["open", "closed"] | None = None
    verdict: Literal["", "dismissed", "confirmed"] | None = None
    since: str | None = None
    """Last seen at or after."""
    before: Place | None = None
    """The ``next`` of the page before."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100


class LetterQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of ``GET /api/dead-letters``."""

    kind: Literal["body", "item", "delivery"] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says something, and why."""

    who: Name
    why: Text


class Marked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/tests``: which cluster the event is to be of, and two hex digits of one's own."""

    cluster: Name
    mark: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{2}\Z")]


class NewSuppression(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /api/suppressions``; the patterns are those of `Suppression`."""

    owner: Name
    reason: Text
    until: str
    rule: Pattern = ""
    actor: Pattern = ""
    target: Pattern = ""
    source: Pattern = ""
    cluster: Pattern = ""


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/memory``: a part of what `redshank memory seed` read of a dump."""

    who: Name
    cluster: Name
    entries: Entries


class Api:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def routes(self) -> Sequence[web.RouteDef]:
        """Give path and handler of each."""
        return (
            web.get("/api/health", self.health),
            web.get("/api/status", self.status),
            web.post("/api/tests", self.test),
            web.get("/api/alerts", self.alerts),
            web.get("/api/alerts/{id}", self.alert),
            web.get("/api/alerts/{id}/deliveries", self.deliveries),
            web.post("/api/alerts/{id}/{verb:dismiss|confirm}", self.judge),
            web.get("/api/suppressions", self.suppressions),
            web.post("/api/suppressions", self.suppress),
            web.delete("/api/suppressions/{id}", self.lift),
            web.post("/api/memory", self.seed),
            web.get("/api/dead-letters", self.dead_letters),
            web.post("/api/dead-letters/redeliver", self.redeliver),
        )

    async def health(self, request: web.Request) -> web.Response:
        """Say what is wrong with which part."""
        return in_json({"ready": self.backend.ready() or "yes", "troubles": dict(await self.backend.health())})

    async def status(self, request: web.Request) -> web.Response:
        """Say what runs, and how far it is."""
        status = await self.backend.status()
        clusters = {name: heard and _written(heard) for name, heard in status.clusters.items()}
        outbox = {name: _written(depth) for name, depth in status.outbox.items()}
        return in_json({**_written(status), "clusters": clusters, "outbox": outbox})

    async def test(self, request: web.Request) -> web.Response:
        """Send an event of our own through everything."""
        test = await _body(request, Marked)
        return in_json({"audit_id": await self.backend.inject(test.cluster, test.mark)}, 202)

    async def alerts(self, request: web.Request) -> web.Response:
        """List alerts without their samples, newest first, a page at a time."""
        query = _query(request, AlertQuery)
        wanted = Wanted(
            level=Level[query.level] if query.level else None,
            cluster=query.cluster,
            actor=query.actor,
            rule=query.rule,
            status=query.status,
            verdict=query.verdict,
            since=_time(query.since, "since") if query.since else None,
            before=query.before,
        )
        found = await self.backend.alerts(wanted, query.limit)
        more = found[-1].place if len(found) == query.limit else None
        return in_json({"alerts": [_shown(one, samples=False) for one in found], "next": more})

    async def alert(self, request: web.Request) -> web.Response:
        """Show one alert, with its samples."""
        return in_json(_shown(await self._stored(request), samples=True))

    async def deliveries(self, request: web.Request) -> web.Response:
        """List what sinks have not taken of an alert."""
        outstanding = await self.backend.deliveries((await self._stored(request)).alert.id)
        return in_json({"deliveries": [_written(one) for one in outstanding]})

    async def judge(self, request: web.Request) -> web.Response:
        """Dismiss or confirm an alert."""
        stored, said = await self._stored(request), await _body(request, Said)
        judgement = JUDGEMENTS[request.match_info["verb"]]
        await self.backend.control(Verdict(stored.alert.id, judgement, said.who, said.why, self.backend.now()))
        return in_json({"id": stored.alert.id, "verdict": judgement}, 202)

    async def suppressions(self, request: web.Request) -> web.Response:
        """List the suppressions in force, and how many findings each has silenced."""
        silenced = self.backend.silenced()
        found = await self.backend.suppressions()
        return in_json({"suppressions": [{**_written(one), "silenced": silenced.get(one.id, 0)} for one in found]})

    async def suppress(self, request: web.Request) -> web.Response:
        """Begin a suppression, for at most a year."""
        new = await _body(request, NewSuppression)
        now, until = self.backend.now(), _time(new.until, "until")
        if not now < until <= now + LONGEST:
            raise ApiError(400, "until: a suppression ends within a year from now; it can be renewed")
        one = Suppression(**{**msgspec.structs.asdict(new), "until": until, "id": secrets.token_hex(8)})
        if one.blanket:
            raise ApiError(400, "this would silence everything: name a rule, an actor, a target or a source")
        await self.backend.control(one)
        return in_json(_written(one), 202)

    async def lift(self, request: web.Request) -> web.Response:
        """End a suppression before its time."""
        name, said = request.match_info["id"], await _body(request, Said)
        if name not in {one.id for one in await self.backend.suppressions()}:
            raise ApiError(404, "no such suppression is in force")
        await self.backend.control(Lift(name, said.who, said.why))
        return in_json({"id": name}, 202)

    async def seed(self, request: web.Request) -> web.Response:
        """Tell memory what is in a cluster."""
        known = await _body(request, Known)
        if known.cluster not in (await self.backend.status()).clusters:
            raise ApiError(404, "no cluster of this name is watched")
        if Memory().seed(known.entries):
            raise ApiError(
                400, "entries: not what this version keeps: use the redshank memory seed of the same version"
            )
        await self.backend.control(Seed(known.entries, known.cluster, known.who, self.backend.now()))
        return in_json({"cluster": known.cluster}, 202)

    async def dead_letters(self, request: web.Request) -> web.Response:
        """List what could not be read or delivered, newest first."""
        query = _query(request, LetterQuery)
        letters = await self.backend.dead_letters(query.kind, query.limit)
        return in_json({"dead_letters": [_written(letter) for letter in letters]})

    async def redeliver(self, request: web.Request) -> web.Response:
        """Send buried deliveries again."""
        which = await _body(request, Redelivery)
        if sum((which.ids is not None, which.sink is not None, which.all)) != 1:
            raise ApiError(400, "say which: ids, a sink, or all")
        return in_json({"redelivered": await self.backend.redeliver(which)}, 202)

    async def _stored(self, request: web.Request) -> StoredAlert:
        stored = await self.backend.alert(request.match_info["id"])
        if stored is None:
            raise ApiError(404, "there is no alert of this id")
        return stored


def in_json(value: Any, status: int = 200) -> web.Response:
    """Give an answer in JSON."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value) + b"\n",
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


def _query(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"query: {error}") from None


async def _body(request: web.Request, kind: type[T]) -> T:
    try:
        async with asyncio.timeout(READ_WITHIN):
            body = await request.read()
        return msgspec.json.decode(body, type=kind)
    except TimeoutError:
        raise ApiError(408, "the body took too long") from None
    except (web.RequestPayloadError, OSError):
        raise ApiError(400, "the body broke off") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, f"body: {error}") from None


def _time(text: str, name: str) -> int:
    # A + in a query string stands for a space.
    time = micros(text.replace(" ", "+"))
    if time is None:
        raise ApiError(400, f"{name}: give a time such as 2026-01-31T12:00:00Z")
    return time


def _shown(stored: StoredAlert, *, samples: bool) -> dict[str, Any]:
    shown = native.encode(stored.alert, samples=samples)
    if stored.verdict:
        verdict = {"judgement": stored.verdict, "who": stored.who, "why": stored.why, "at": rfc3339(stored.at)}
        return {**shown, "verdict": verdict}
    return {**shown, "verdict": None}


def _written(struct: msgspec.Struct) -> dict[str, Any]:
    """Give a struct as JSON types, its times in words."""
    values: dict[str, Any] = msgspec.to_builtins(struct)
    values.pop("type", None)
    return {key: rfc3339(value) if key in TIMES and value is not None else value for key, value in values.items()}
