"""``redshank doctor``: is all well, and if not, where does it break first?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from detector.config import Settings
from detector.errors import ConfigError, RedshankError
from detector.report.doctor import Check, broken
from detector.service.client import Client
from detector.service.doctor import daemon, files
from detector.service.doctor.chain import Chain
from detector.service.doctor.post import Proof, client_context
from detector.sources.webhook.settings import is_cluster_name

__all__ = ["Proof", "examine"]

DEFAULT = "doctor"
"""The cluster of the test where none is configured."""
NOTHING = Proof()


def cluster_of(settings: Settings, asked: str) -> str:
    """Give the cluster that the test is of. Raises ConfigError when it may not be that."""
    known = settings.webhook.clusters
    if asked and known and asked not in known:
        raise ConfigError(f"--cluster {asked!r}: those that may post are {', '.join(known)}")
    if asked and not is_cluster_name(asked):
        raise ConfigError(f"--cluster {asked!r}: up to 100 letters, digits, and within them . _ -")
    return asked or next(iter(known), DEFAULT)


def examine(
    settings: Settings, *, cluster: str = "", proof: Proof = NOTHING, wait: float, tell: Callable[[str], None]
) -> Iterator[Check]:
    """Look at everything, and send a test through it; no link is waited for longer than ``wait`` seconds.

    Raises ConfigError when cluster or proof are of no use.
    """
    client, now = Client(settings.data_dir), time.time_ns() // 1000
    client_context(proof)
    chain = Chain(settings, client, cluster_of(settings, cluster), proof=proof, wait=wait)
    yield from files.certificates(settings, now)
    yield files.disk(settings, now)
    try:
        status, health = client.ask("GET", "/api/status"), client.ask("GET", "/api/health")
    except RedshankError as error:
        yield files.rules(settings, None)[0]
        yield broken("daemon", str(error), "do this as its user")
        return
    rules, tested = files.rules(settings, status["rules"])
    yield rules
    yield from daemon.itself(settings, status, health, now)
    yield daemon.clock(status)
    yield from daemon.clusters(status, now)
    yield daemon.fold(status)
    try:
        yield daemon.dead_letters(client.ask("GET", "/api/dead-letters", limit=daemon.MOST)["dead_letters"], now)
        yield from daemon.outbox(status, now)
        yield from chain.checks(tested=tested, tell=tell)
    except RedshankError as error:
        yield broken("daemon", f"has stopped answering: {error}", "see its log")
    if not chain.alert:
        yield from daemon.sinks(health)
