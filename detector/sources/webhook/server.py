"""The webhook itself: from a request to an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter

from aiohttp import web

from detector.errors import ConfigError
from detector.listen import Address, Certificates, Connection, Listener, Observer, Unobserved
from detector.listen.connection import LOCAL, answer, connection_of, last_answer
from detector.listen.rarely import Rarely
from detector.sources.webhook.auth import PATH, Answer, Credentials, RefusedError, cluster_of
from detector.sources.webhook.body import BadBodyError, Bodies, Refusal
from detector.sources.webhook.settings import WebhookSettings

log = logging.getLogger(__name__)

Accept = Callable[[str, bytes, str], Awaitable[Answer]]
"""Takes a cluster, the plain bytes of a body, and the peer's address; gives the answer once all is decided."""

OVERLOADED = (429, 503)
"""Answers that mean "come again": the connection stays, as a new handshake would only add to the load."""


def _ignore(refusal: Refusal) -> None: ...


class Webhook:
    """Serves ``POST /audit`` and ``POST /audit/CLUSTER``.

    `accept` decides on every body; when it raises, the API server is asked to come again and the log says why.
    `refused` hears of bodies that never get so far.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        accept: Accept,
        *,
        observer: Observer | None = None,
        refused: Callable[[Refusal], None] = _ignore,
    ) -> None:
        self.settings, self.accept, self.refused = settings, accept, refused
        self.observer = observer or Unobserved()
        self.listener = Listener(settings, self._handle, observer=self.observer)
        self.bodies = Bodies(settings)
        self.clusters: dict[str, None] = {}
        """Clusters that had a batch accepted, while none is configured."""
        self._warnings = Rarely(log)

    @property
    def addresses(self) -> list[Address]:
        """Where it listens."""
        return self.listener.addresses

    @property
    def url(self) -> str:
        """The first of them, without a path."""
        where = self.addresses[0] if self.addresses else self.settings.address
        return f"{'https' if self.settings.tls else 'http'}://{where}"

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self.listener.connections)

    async def start(self) -> None:
        """Listen.

        :raises ConfigError: the address is taken, or the certificates are of no use.
        """
        await self.listener.start(self.settings.address, _certificates(self.settings))

    async def stop(self, deadline: float) -> None:
        """Take no more connections, finish the requests under way within ``deadline`` seconds, end the rest."""
        await self.listener.stop(deadline)

    def reload(self, settings: WebhookSettings) -> None:
        """Go on with other settings. Nothing is changed when they are of no use.

        :raises ConfigError: the address would change, or the certificates are of no use.
        """
        if settings.listen != self.settings.listen:
            raise ConfigError(f"the webhook goes on listening on {self.settings.listen}: restart to change the address")
        certificates = _certificates(settings)
        changed = (
            settings.tls != self.settings.tls or settings.certificate_required != self.settings.certificate_required
        )
        self.settings = self.listener.limits = self.bodies.settings = settings
        self.bodies.memory.limit = settings.max_buffered
        if changed:
            self.listener.use(certificates)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started, connection = perf_counter(), connection_of(request)
        try:
            given = await self._answer(request, connection)
        except RefusedError as refusal:
            given = refusal.answer
            self._warnings.warning(given.status, "%d for %s: %s", given.status, connection.peer, given.message)
        self.observer.answered(given.status, perf_counter() - started)
        return _response(given)

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> Answer:
        shown = Credentials(request.headers.get("Authorization"), connection.names)
        cluster = cluster_of(request.path, shown, self.settings.clusters, self.clusters)
        if request.method != "POST":
            raise RefusedError(405, "audit events are sent with POST")
        with self.bodies.memory.lease() as lease:
            try:
                body = await self.bodies.read(request, connection, lease)
            except BadBodyError as bad:
                self.refused(bad.refusal(cluster, connection.peer))
                raise RefusedError(bad.status, bad.reason) from None
            return await self._accepted(cluster, body, connection.peer)

    async def inject(self, cluster: str, body: bytes) -> Answer:
        """Take a body of our own, as if somebody who may had posted it."""
        if self.settings.clusters:
            known = cluster in self.settings.clusters
            return await self._accepted(cluster, body, LOCAL) if known else Answer(404, "no such cluster is configured")
        try:
            cluster_of(f"{PATH}/{cluster}", Credentials(), {}, self.clusters)
        except RefusedError as refusal:
            return refusal.answer
        return await self._accepted(cluster, body, LOCAL)

    async def _accepted(self, cluster: str, body: bytes, peer: str) -> Answer:
        given = await self._decided(cluster, body, peer)
        if given.status < web.HTTPMultipleChoices.status_code and not self.settings.clusters:
            self.clusters[cluster] = None
        return given

    async def _decided(self, cluster: str, body: bytes, peer: str) -> Answer:
        try:
            return await self.accept(cluster, body, peer)
        except Exception as error:
            self._warnings.exception("accept", "a batch of cluster %s could not be taken: %r", cluster, error)
            return Answer(503, "the batch could not be taken; try again", 1)


def _certificates(settings: WebhookSettings) -> Certificates | None:
    if settings.tls is None:
        return None
    return Certificates(settings.tls, require_client=settings.certificate_required)


def _response(given: Answer) -> web.Response:
    headers = {}
    if given.status in OVERLOADED:
        headers["Retry-After"] = str(1 if given.retry_after is None else given.retry_after)
    elif given.status == web.HTTPUnauthorized.status_code:
        headers["WWW-Authenticate"] = "Bearer"
    elif given.status == web.HTTPMethodNotAllowed.status_code:
        headers["Allow"] = "POST"
    stays = given.status in OVERLOADED or given.status < web.HTTPBadRequest.status_code
    return (answer if stays else last_answer)(given.status, f"{given.message}\n", headers)
