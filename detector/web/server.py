"""The listener of the pages, on an address and on the daemon's Unix socket."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from detector.config import WebSettings
from detector.errors import ConfigError, RedshankError, StoreError
from detector.listen import Address, Certificates, Listener, is_loopback
from detector.listen.connection import LOCAL, answer, connection_of
from detector.listen.settings import bearer, matches
from detector.web.api import ApiError, in_json
from detector.web.backend import Probed

log = logging.getLogger(__name__)

LARGEST = 1 << 16
"""Bytes of a request body."""
PUBLIC = frozenset({"/healthz", "/readyz", "/metrics"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Web:
    """Serves everything of this room. Whoever may open the Unix socket may use all of it; others need a token for
    ``/api``, over TLS unless they are on this machine. With ``tls.client_ca`` they need a certificate for anything.

    :raises ConfigError: it would be open to other machines without TLS.
    """

    def __init__(
        self, settings: WebSettings, probed: Probed, registry: CollectorRegistry, api: Sequence[web.RouteDef] = ()
    ) -> None:
        _check(settings)
        self.settings, self.probed, self.registry, self.api = settings, probed, registry, api
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None

    async def start(self, local: Path | None = None) -> None:
        """Listen, on a Unix socket as well when a path is given.

        :raises ConfigError: an address is taken, or the certificates are of no use.
        """
        certificates = _certificates(self.settings)
        app = web.Application(middlewares=[self._guarded], client_max_size=LARGEST)
        app.add_routes(
            [
                web.get("/healthz", self._alive),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
                *self.api,
            ]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        server = self._runner.server
        assert server is not None  # noqa: S101 - setup made it
        listener = Listener(self.settings, server.request_handler, request_factory=server.request_factory)
        self._listener = listener
        if local is not None:
            listener.start_local(local)
        await listener.start(self.settings.address, certificates)

    async def stop(self, deadline: float) -> None:
        """Take no more connections, finish the requests under way within ``deadline`` seconds, end the rest."""
        if self._listener is not None:
            await self._listener.stop(deadline)
        if self._runner is not None:
            await self._runner.cleanup()

    def reload(self, settings: WebSettings) -> None:
        """Go on with other settings. Nothing is changed when they are of no use.

        :raises ConfigError: the address would change, or the certificates are of no use.
        """
        if settings.listen != self.settings.listen:
            raise ConfigError(f"web goes on listening on {self.settings.listen}: restart to change the address")
        _check(settings)
        certificates, changed = _certificates(settings), settings.tls != self.settings.tls
        self.settings = settings
        if self._listener is not None:
            self._listener.limits = settings
            if changed:
                self._listener.use(certificates)

    @property
    def url(self) -> str:
        """Where it listens first, without a path."""
        where = self.addresses[0] if self.addresses else self.settings.address
        return f"{'https' if self.settings.tls else 'http'}://{where}"

    @property
    def addresses(self) -> list[Address]:
        """Where it listens."""
        return [] if self._listener is None else self._listener.addresses

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only those through to the API who may, and answer its errors in its language."""
        if request.path in PUBLIC:
            return await handler(request)
        try:
            self._permitted(request)
            return await handler(request)
        except ApiError as error:
            response = in_json({"error": str(error)}, error.status)
            if error.status == web.HTTPUnauthorized.status_code:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
        except StoreError as error:
            response = in_json({"error": str(error)}, 503)
            response.headers["Retry-After"] = "1"
            return response
        except RedshankError as error:
            return in_json({"error": str(error)}, 400)
        except web.HTTPException as error:
            response = in_json({"error": error.reason}, error.status)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response

    def _permitted(self, request: web.Request) -> None:
        if connection_of(request).peer == LOCAL:
            return
        if self.settings.tls is None and not is_loopback(self.settings.address.host):
            raise ApiError(403, "the API is not served to other machines without TLS: set web.tls")
        if not self.settings.tokens:
            raise ApiError(403, "the API is served on the daemon's socket only: set web.tokens to use it here")
        if not matches(bearer(request.headers.get("Authorization")), self.settings.tokens):
            raise ApiError(401, "not authenticated: show a token of web.tokens")

    async def _alive(self, request: web.Request) -> web.StreamResponse:
        return answer(200, "alive\n")

    async def _ready(self, request: web.Request) -> web.StreamResponse:
        reason = self.probed.ready()
        return answer(503, f"not ready: {reason}\n") if reason else answer(200, "ready\n")

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        try:
            await self.probed.measure()
        except StoreError as error:  # what is counted in memory is worth the more now
            log.error("metrics of the store are old: %s", error)
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": kind})


def _check(settings: WebSettings) -> None:
    if settings.tls is None and not settings.insecure and not is_loopback(settings.address.host):
        raise ConfigError(
            f"web.listen: {settings.listen} can be reached from other machines, and there is no TLS: give web.tls, "
            "listen on 127.0.0.1, or set web.insecure (the API stays closed without TLS)"
        )


def _certificates(settings: WebSettings) -> Certificates | None:
    if settings.tls is None:
        return None
    return Certificates(settings.tls, require_client=settings.tls.client_ca is not None)
