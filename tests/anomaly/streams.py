"""Streams of features for the tests of the model: a small cluster at work, without randomness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detector.anomaly.surprise import complete

SECOND = 1_000_000
START = 1_790_000_000 * SECOND


def request(actor: str, action: str, at: float, **more: Any) -> dict[str, Any]:
    """Make features; ``at`` is in seconds since the start of the stream."""
    kind = "serviceaccount" if ":" in actor else "human"
    peers = f"service accounts of {actor.partition(':')[0]}" if kind == "serviceaccount" else "users of crew"
    plain = {
        "time": START + int(at * SECOND),
        "actor": actor,
        "peers": peers,
        "kind": kind,
        "action": action,
        "namespace": "shop",
        "agent": "kubectl",
        "address": f"10.0.0.{len(actor)}",
        "network": "10.0",
    }
    return dict(complete({**plain, **more}), refused=more.get("refused", False))


def routine(minutes: int, start: float = 0) -> Iterator[dict[str, Any]]:
    """Give what a cluster does all day: three people and two programs, a request of each every ten seconds."""
    for tick in range(minutes * 6):
        at = start + tick * 10
        for number, person in enumerate(("ann", "bob", "carl")):
            yield request(person, ("list pods", "get pods/log", "get configmaps")[(tick + number) % 3], at)
        yield request("ci:deployer", "patch deployments.apps", at + 1, image=("registry.example/shop/web",))
        yield request("ops:exporter", "list nodes" if tick % 2 else "list pods", at + 2, namespace="")


def cut(model: Any, stream: Any) -> float:
    """Learn a stream; gives the last score before learning it."""
    last = 0.0
    for x in stream:
        last = model.score_one(x)
        model.learn_one(x)
    return last
