"""What a daemon says of itself: what it runs with, clocks, clusters, the fold, dead letters.

``status`` and ``health`` are the answers of ``/api/status`` and ``/api/health``, times are microseconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from detector.config import Settings
from detector.event import SECOND, micros
from detector.report.doctor import Check, broken, ok, warning
from detector.report.words import count, duration
from detector.version import __version__
from detector.watermark import SKEW

SILENT = 600 * SECOND
"""Microseconds without a batch that are too many: the API server of a cluster is never idle for so long."""
AHEAD, OLD = -2.0, 120.0
"""Ages of events at their arrival, in seconds, that are odd: an API server holds them back for up to 30 s."""
SLOW, STUCK = 10.0, 60.0
"""Seconds the fold may be behind, and those after which something is wrong."""
RECENT = 3600 * SECOND
MOST = 1_000
"""Dead letters that are looked at."""
SILENCE = "look for 'audit plugin \"webhook\"' in the log of its API servers, and see docs/kube-apiserver.md"

SINK = "see docs/sinks.md; alerts wait for it, and go to the dead letters when it stays like this"

Answer = dict[str, Any]


def itself(settings: Settings, status: Answer, health: Answer, now: int) -> Iterator[Check]:
    """Look whether the daemon takes events in, and runs with these settings."""
    if health["ready"] != "yes":
        yield broken("daemon", f"takes in no events: {health['ready']}", "see its log")
    elif status["version"] != __version__:
        yield warning("daemon", f"is redshank {status['version']}, and this {__version__}", "restart it")
    else:
        yield ok("daemon", f"redshank {status['version']}, up for {_since(status['started_at'], now)}")
    other = list(_other(settings, status))
    if other:
        todo = "name its --config; if it is this one, its log says why it was refused"
        yield warning("settings", f"the daemon runs with other {', '.join(other)}", todo)
    else:
        yield ok("settings", "those the daemon runs with")


def _other(settings: Settings, status: Answer) -> Iterator[str]:
    """Name what differs."""
    if [sink.name for sink in settings.sinks] != status["sinks"]:
        yield "sinks"
    if not settings.webhook.clusters.keys() <= status["clusters"].keys():
        yield "clusters"
    if (settings.webhook.tls is not None) != status["webhook"].startswith("https:"):
        yield "TLS"


def clock(status: Answer) -> Check:
    """Compare this machine's clock with those of API servers, by how old their events were when they came."""
    ages = {name: heard["age"] for name, heard in status["clusters"].items() if heard and heard["age"] is not None}
    if not ages:
        return ok("clock", "nothing to compare it with: no events have come")
    first, last = min(ages, key=ages.__getitem__), max(ages, key=ages.__getitem__)
    if ages[first] < AHEAD:
        said = f"events of {first} come {-ages[first]:.0f} s before their time"
        todo = "set the clocks of both machines by NTP"
        return (broken if -ages[first] > SKEW / SECOND else warning)("clock", said, todo)
    if ages[last] > OLD:
        said = f"events of {last} were {duration(int(ages[last] * SECOND))} old when they came"
        todo = "compare the clocks of both machines; if they are right, its API server holds events back"
        return warning("clock", said, todo)
    return ok("clock", f"events come up to {ages[last]:.1f} s after their time")


def clusters(status: Answer, now: int) -> Iterator[Check]:
    """Look whether events arrive from each cluster that is configured, or was heard of."""
    uptime = _since(status["started_at"], now)
    if not status["clusters"]:
        todo = "point an API server at it: redshank init kube-apiserver"
        yield warning("clusters", f"no batch from any in the {uptime} since the start", todo)
    for name, heard in sorted(status["clusters"].items()):
        part = f"cluster {name}"
        if heard is None:
            long = now - (micros(status["started_at"]) or now) > SILENT
            said = f"no batch from its API servers in the {uptime} since the start"
            yield (broken if long else warning)(part, said, SILENCE)
        elif now - (micros(heard["last_at"]) or 0) > SILENT:
            yield warning(part, f"no batch from its API servers for {_since(heard['last_at'], now)}", SILENCE)
        else:
            yield ok(part, f"last batch {_since(heard['last_at'], now)} ago")


def fold(status: Answer) -> Check:
    """Look whether detection keeps up."""
    lag, waiting = status["lag"], count(status["last"] - status["folded"], "entry", "entries")
    said = f"{lag:.1f} s behind, {waiting} of the journal to be folded"
    if lag > SLOW:
        todo = "see its log, and whether it has a CPU of its own; redshank rules check names slow rules"
        return (broken if lag > STUCK else warning)("detection", said, todo)
    if status["restarts"]:
        died = count(status["restarts"], "time")
        return warning("detection", f"the fold process died {died} and was started again", "see the log for why")
    return ok("detection", said)


def sinks(health: Answer) -> Iterator[Check]:
    """Name the sinks that take nothing."""
    for part, why in health["troubles"].items():
        if part.startswith("sink "):
            yield broken(part, f"takes nothing: {why}", SINK)


def outbox(status: Answer, now: int) -> Iterator[Check]:
    """Name the sinks that alerts wait for in vain, and those for which too many waited."""
    for sink, depth in status["outbox"].items():
        part = f"sink {sink}"
        if depth["waiting"] and sink not in status["sinks"]:
            waiting, oldest = count(depth["waiting"], "alert"), _since(depth["oldest"], now)
            said = f"is configured no more, and waited for by {waiting}, the oldest for {oldest}"
            yield warning(part, said, "configure it again; they go to the dead letters when they are 3 days old")
        if depth["buried"] and depth["displaced"] + depth["lost"]:
            said = f"{count(depth['buried'], 'alert')} went to the dead letters, as too many waited"
            lost = f"; {count(depth['lost'], 'alert')} before them had to go for good" if depth["lost"] else ""
            yield warning(part, said + lost, f"when it takes alerts: redshank alerts redeliver --sink {sink}")


def dead_letters(letters: Sequence[Answer], now: int) -> Check:
    """Look whether there are new ones; ``letters`` are the newest."""
    new = [one for one in letters if now - (micros(one["last_at"]) or 0) < RECENT]
    if not new:
        return ok("dead letters", "no new ones within an hour")
    kinds = Counter(one["kind"] for one in new)
    said = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    more = " or more" if len(new) == MOST else ""
    said = f"{said}{more} within an hour, the last: {new[0]['reason']}"
    return warning("dead letters", said, "redshank alerts dead-letters")


def _since(time: str, now: int) -> str:
    return duration(max(0, now - (micros(time) or now)))
