"""Which cluster a request is of, and whether its sender may say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from detector.listen.settings import bearer, matches
from detector.sources.webhook.settings import ClusterSettings, is_cluster_name

PATH = "/audit"
DEFAULT = "default"
"""The cluster of those who post to `PATH` when no cluster is configured."""
MAX_CLUSTERS = 64
"""Names of clusters taken when none is configured."""


class Answer(NamedTuple):
    """What the API server hears. Only 429 and 503 with ``retry_after`` (seconds) make it try 55 times instead of 5."""

    status: int
    message: str
    retry_after: int | None = None


class RefusedError(Exception):
    """A request ends here; ``answer`` is what its sender hears."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status, message, retry_after)


class Credentials(NamedTuple):
    """What a client shows: its ``Authorization`` header, and the names in the certificate it proved to have."""

    authorization: str | None = None
    names: frozenset[str] = frozenset()


def cluster_of(path: str, shown: Credentials, clusters: dict[str, ClusterSettings], taken: Iterable[str]) -> str:
    """Give the cluster a request is of. `taken` are names already in use, when none is configured.

    :raises RefusedError: 404 no such path or cluster, 401 unproven, 403 not this sender's cluster, 400 unclear.
    """
    name = _named(path)
    if clusters:
        return _configured(name, shown, clusters)
    known = set(taken)
    if name is not None and name not in known and len(known) >= MAX_CLUSTERS:
        raise RefusedError(403, f"{MAX_CLUSTERS} clusters post here already; configure the clusters that may")
    return name or DEFAULT


def _named(path: str) -> str | None:
    if path.rstrip("/") == PATH:
        return None
    base, _, name = path.rpartition("/")
    if base != PATH or not is_cluster_name(name):
        raise RefusedError(404, f"not found; post audit events to {PATH} or {PATH}/CLUSTER")
    return name


def _configured(name: str | None, shown: Credentials, clusters: dict[str, ClusterSettings]) -> str:
    proven = [one for one, settings in clusters.items() if _proven(settings, shown)]
    public = [] if shown.authorization else [one for one, settings in clusters.items() if settings.open]
    if name is not None and name in [*proven, *public]:
        return name
    if not proven and (not public or (name in clusters)):
        raise RefusedError(401, "not authenticated: show a token or a client certificate of this cluster")
    if name in clusters:
        raise RefusedError(403, f"this credential is not of cluster {name}")
    if name is not None:
        raise RefusedError(404, "no such cluster is configured")
    fitting = proven or public
    if len(fitting) > 1:
        raise RefusedError(400, f"several clusters are possible; name one in the path: {PATH}/CLUSTER")
    return fitting[0]


def _proven(settings: ClusterSettings, shown: Credentials) -> bool:
    known = matches(bearer(shown.authorization), settings.tokens)
    return known or not shown.names.isdisjoint(settings.certificate_names)
