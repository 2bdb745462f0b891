"""``python -m benchmarks.daemon``: what the daemon costs, and how late it is, beside floors measured in the same run.

EventLists of 400 events go to ``redshank serve`` over TLS; alerts go to an HTTP sink on this machine. CPU time is that
of both its processes, from the first byte to the last delivery, least of several rounds; its floor is aiohttp behind
TLS that only decodes the same bodies. Latencies are at the most one API server sends at its defaults; beside them
stand a handler that does nothing, and an append with fsync of the same bytes. ``--soak SECONDS`` goes on at that rate,
and prints what the daemon holds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from benchmarks import logs
from benchmarks.__main__ import MB, SAMPLE
from benchmarks.eventlists import EVENTS, EventLists
from benchmarks.process import cpu_seconds, descriptors, resident
from benchmarks.site import Site, running

WANTED, WANTED_RATIO = 25_000, 6
GOALS = {"answer": 0.250, "delivered": 1.0}
"""Seconds at p99 on a quiet machine."""
PAUSE = 0.1
"""Seconds from body to body: 4,000 events a second."""
TURNS = 3
"""Times that the daemon and its floors take turns."""
SAMPLES = 60
"""Looks at what the daemon holds during a soak."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.daemon", description=__doc__)
    parser.add_argument("--log", type=Path, default=SAMPLE, help="a recording (JSON lines, gzip or plain)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the throughput")
    parser.add_argument("--bodies", type=int, default=68, help="bodies in a round")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long latencies are measured")
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of it; 600 are meant")
    parser.add_argument("--journal-limit", default="192MiB", help="so that a soak of ten minutes reaches it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redshank-") as folder:
        asyncio.run(_measure(options, Path(folder)))


async def _measure(options: argparse.Namespace, folder: Path) -> None:
    posted = options.bodies * (options.rounds + 1) + int((options.seconds * 2 + options.soak) / PAUSE)
    lists = EventLists(logs.lines(options.log), posted)
    async with running(folder, options.journal_limit) as site:
        await site.cost([body for _, body in lists.take(options.bodies)])  # every kind of request was seen once
        if options.rounds:
            await throughput(site, lists, options.rounds, options.bodies)
        if options.seconds:
            await latencies(site, lists, options.seconds, folder / "appended")
        if options.soak:
            await soak(site, lists, options.soak)


async def throughput(site: Site, lists: EventLists, rounds: int, count: int) -> None:
    """Print the least CPU time an event costs, beside the floor's."""
    costs: list[float] = []
    floors: list[float] = []
    size = 0
    for _ in range(rounds):
        bodies = [body for _, body in lists.take(count)]
        size = sum(map(len, bodies))
        floors.append(await site.floor_cost(bodies))
        costs.append(await site.cost(bodies))
    events, cost, floor = count * EVENTS, min(costs), min(floors)
    print(f"{rounds} rounds of {count} EventLists of {EVENTS} events, {size / count / MB:.2f} MB each")
    print(f"  floor: TLS + decode    {floor / events * 1e6:7.2f} µs/event   1.00 x")
    print(f"  daemon, to delivery    {cost / events * 1e6:7.2f} µs/event {cost / floor:6.2f} x (wanted {WANTED_RATIO})")
    print(f"  {events / cost:,.0f} events per CPU-second (wanted {WANTED:,}); floor {events / floor:,.0f}")


async def latencies(site: Site, lists: EventLists, seconds: float, path: Path) -> None:
    """Print how long answers and deliveries take, beside what takes no work and beside the disk."""
    found: dict[str, list[float]] = {name: [] for name in ("answer", "delivered", "floor: no-op", "floor: fsync")}
    sent: dict[int, float] = {}
    site.sink.opened.clear()
    before, started = cpu_seconds(site.pids), time.monotonic()
    for _ in range(TURNS):
        found["answer"] += await _posted(site, lists, seconds / TURNS, sent)
        found["floor: no-op"] += await paced(lists, seconds / TURNS / 2, lambda body: site.post(site.nothing, body), {})
        found["floor: fsync"] += await paced(lists, seconds / TURNS / 2, lambda body: _appended(path, body), {})
    found["delivered"] = [came - sent[number] for number, came in site.sink.opened if number in sent]
    used, events = cpu_seconds(site.pids) - before, len(sent) * EVENTS
    print(f"{EVENTS / PAUSE:,.0f} events/s for {len(sent) * PAUSE:.0f} s of {time.monotonic() - started:.0f} s")
    for name, values in found.items():
        goal = f" (goal {GOALS[name] * 1e3:.0f})" if name in GOALS else ""
        middle, late = quantile(values, 0.5) * 1e3, quantile(values, 0.99) * 1e3
        print(f"  {name:14} p50 {middle:7.1f} ms   p99 {late:7.1f} ms{goal}   of {len(values):,}")
    print(f"  CPU at this rate: {used / events * 1e6:.1f} µs/event")


async def _posted(site: Site, lists: EventLists, seconds: float, sent: dict[int, float]) -> list[float]:
    taken = await paced(lists, seconds, lambda body: site.post(site.webhook, body), sent)
    await site.settled()
    return taken


async def paced(
    lists: EventLists, seconds: float, take: Callable[[bytes], Awaitable[None]], sent: dict[int, float]
) -> list[float]:
    """Have a body taken every `PAUSE`, however long each takes; gives the seconds of each from when it was due.

    ``sent`` is told when each was due (`time.monotonic`), by its number.
    """

    async def one(body: bytes, due: float) -> float:
        await take(body)
        return time.monotonic() - due

    tasks: list[asyncio.Task[float]] = []
    due = time.monotonic() + PAUSE
    for (number, body), _ in zip(lists, range(int(seconds / PAUSE)), strict=False):
        await asyncio.sleep(due - time.monotonic())
        sent[number] = due
        tasks.append(asyncio.create_task(one(body, due)))
        due += PAUSE
    return await asyncio.gather(*tasks)


async def _appended(path: Path, body: bytes) -> None:
    await asyncio.to_thread(_append, path, body)


def _append(path: Path, body: bytes) -> None:
    with path.open("ab") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that so many are not above."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


async def soak(site: Site, lists: EventLists, seconds: float) -> None:
    """Go on, and print what the daemon holds."""
    print(f"soak: {EVENTS / PAUSE:,.0f} events/s for {seconds:.0f} s", flush=True)
    held: list[dict[str, float]] = []
    answers: list[float] = []
    for number in range(SAMPLES):
        answers += await paced(lists, seconds / SAMPLES, lambda body: site.post(site.webhook, body), {})
        held.append(_held(site))
        if number % (SAMPLES // 10) == 0:
            print("  " + ", ".join(f"{name} {value:,.1f}" for name, value in held[-1].items()), flush=True)
    for name in held[0]:
        values = [one[name] for one in held]
        print(f"  {name:24} first {values[0]:8,.1f} last {values[-1]:8,.1f} max {max(values):8,.1f}")
    print(f"  answers p50 {quantile(answers, 0.5) * 1e3:.1f} ms, p99 {quantile(answers, 0.99) * 1e3:.1f} ms")


def _held(site: Site) -> dict[str, float]:
    """Give what the daemon holds now."""
    main, fold = site.pids
    return {
        "daemon MB": resident(main) / MB,
        "fold MB": resident(fold) / MB,
        "daemon descriptors": float(descriptors(main)),
        "fold descriptors": float(descriptors(fold)),
        **{f"{name} MB": _size(site.daemon.data, name) / MB for name in ("journal.db", "state.db", "snapshots")},
    }


def _size(data: Path, name: str) -> int:
    """Give the bytes of a database with its write-ahead log, or of a folder."""
    files = [*data.glob(f"{name}*"), *data.glob(f"{name}/*")]
    return sum(path.stat().st_size for path in files if path.is_file())


if __name__ == "__main__":
    main()
