"""``python -m benchmarks.anomaly RECORDING``: how well the model finds labelled attacks, beside simpler models.

RECORDING is a folder with ``audit.jsonl.gz``, ``labels.jsonl`` (auditID, scenario, anomaly_only) and perhaps
``benign_notes.jsonl``. Every event is scored before it is learnt, and judged from the first attack on. A scenario is
found when one of its events is at or above the threshold; thresholds are the lowest that keep the false alarms within
a budget, ties counted against the model. The row "own alerts" is what the model alerted by a threshold of its own.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import orjson

from benchmarks import logs, measure
from benchmarks.process import resident
from detector.anomaly.features import Features, features
from detector.anomaly.model import Model, Settings
from detector.anomaly.starter import begin, extract, starter
from detector.event import SECOND, Event
from detector.formats import decode_event, decompress, read

Scores = list[float]
MB = 1 << 20
START = 1_790_000_000 * SECOND


@dataclass
class Recording:
    """A labelled recording: one entry per request, in the order of the file."""

    ids: list[str] = field(default_factory=list)
    requests: list[Features] = field(default_factory=list)
    attacks: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Scenario, and whether no rule is expected to find it, by Audit-ID."""

    @property
    def first(self) -> int:
        """The place of the first attack: what comes before is for learning."""
        return next((place for place, one in enumerate(self.ids) if one in self.attacks), 0)


def load(folder: Path) -> Recording:
    """Read a recording; of a request with several events the first counts."""
    found, seen = Recording(), set[str]()
    with (folder / "audit.jsonl.gz").open("rb") as file:
        for batch in read(decompress(file)):
            for event in batch.events:
                key = event.request_key
                if event.stage == "ResponseStarted":
                    seen.add(key)
                elif key in seen or event.stage == "RequestReceived":
                    continue
                found.ids.append(event.auditID or "")
                found.requests.append(features(event, event.time or 0))
    for line in (folder / "labels.jsonl").read_bytes().splitlines():
        label = orjson.loads(line)
        if not label.get("benign"):
            found.attacks[label["auditID"]] = (label["scenario"], bool(label.get("anomaly_only")))
    return found


# Models to compare with: the methods of products, in a few lines each.


def never_seen(requests: Iterable[Features]) -> Iterator[float]:
    """Say whether an actor never did this before: a rule of new values."""
    seen = set[tuple[str, str]]()
    for x in requests:
        key = (x["actor"], x["action"])
        yield float(key not in seen)
        seen.add(key)


def new_pairs(requests: Iterable[Features]) -> Iterator[float]:
    """Count what was never seen of an actor: a stack of rules of new values."""
    seen = set[tuple[str, ...]]()
    others = ("namespace", "agent", "address", "outcome", "action")
    for x in requests:
        keys: list[tuple[str, ...]] = [(x["actor"], name, x[name]) for name in others]
        keys.append((x["actor"], "both", x["action"], x["namespace"]))
        yield float(sum(key not in seen for key in keys))
        seen.update(keys)


def rarity(requests: Iterable[Features]) -> Iterator[float]:
    """Give the bits of the frequency of actor, action and namespace together."""
    counts = Counter[tuple[str, str, str]]()
    for number, x in enumerate(requests):
        key = (x["actor"], x["action"], x["namespace"])
        yield -math.log2((counts[key] + 0.5) / (number + 1))
        counts[key] += 1


def rare_in_buckets(requests: Iterable[Features], bucket: float) -> Iterator[float]:
    """Give in what share of an actor's buckets of time an action occurs: `rare` of machine learning jobs."""
    buckets, doing = defaultdict[str, set[int]](set), defaultdict[tuple[str, str], set[int]](set)
    for x in requests:
        number = int(x["time"] / (bucket * SECOND))
        all_of, of_action = buckets[x["actor"]], doing[x["actor"], x["action"]]
        yield -math.log2((len(of_action - {number}) + 0.5) / (len(all_of - {number}) + 1))
        all_of.add(number)
        of_action.add(number)


# The judge.


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Give the probability that an attack scores above a benign event; ties count half."""
    ranks, place = dict[float, float](), 0
    counts = Counter(positive) + Counter(negative)
    for score in sorted(counts):
        ranks[score] = place + (counts[score] + 1) / 2
        place += counts[score]
    n = len(positive)
    return (sum(ranks[score] for score in positive) - n * (n + 1) / 2) / (n * len(negative))


def average_precision(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Give the area under precision and recall, in steps, ties together."""
    attacks, benign = Counter(positive), Counter(negative)
    hits = alarms = 0
    area = 0.0
    for score in sorted(attacks.keys() | benign.keys(), reverse=True):
        hits += attacks[score]
        alarms += attacks[score] + benign[score]
        area += attacks[score] / len(positive) * hits / alarms
    return area


def threshold_at(negative: Sequence[float], share: float) -> float:
    """Give the lowest threshold that at most such a share of benign events reach."""
    ordered = sorted(negative, reverse=True)
    return math.nextafter(ordered[int(share * len(ordered))], math.inf)


def incidents(recording: Recording, chosen: Iterable[int], gap: float) -> int:
    """Count alarms, those of one actor closer than ``gap`` seconds together as one."""
    last, number = dict[str, int](), 0
    for place in chosen:
        x = recording.requests[place]
        number += x["time"] - last.get(x["actor"], -(1 << 62)) > gap * SECOND
        last[x["actor"]] = x["time"]
    return number


@dataclass(frozen=True)
class Judge:
    """Judges scores of one recording."""

    recording: Recording
    day: float

    @property
    def gap(self) -> float:
        """Alarms of one actor closer than so many seconds are one incident: two hours of the day."""
        return self.day / 12

    @property
    def days(self) -> float:
        """Days from the first attack on."""
        times: list[int] = [x["time"] for x in self.recording.requests[self.recording.first :]]
        return (max(times) - min(times)) / SECOND / self.day

    def benign(self) -> list[int]:
        """Give the places of benign events from the first attack on."""
        one = self.recording
        return [place for place in range(one.first, len(one.ids)) if one.ids[place] not in one.attacks]

    def attacks(self, only: bool) -> list[int]:
        """Give the places of attack events, all or those of anomaly-only scenarios."""
        one = self.recording
        found = ((place, one.attacks.get(name)) for place, name in enumerate(one.ids))
        return [place for place, attack in found if attack is not None and (attack[1] or not only)]

    def within(self, scores: Scores, a_day: float) -> float:
        """Give a threshold that keeps false incidents at so many a day."""
        low, high = 0, len(self.benign())
        ordered = sorted((scores[place] for place in self.benign()), reverse=True)
        while low < high:
            middle = (low + high + 1) // 2
            places = (place for place in self.benign() if scores[place] >= ordered[middle - 1])
            fits = incidents(self.recording, places, self.gap) <= a_day * self.days
            low, high = (middle, high) if fits else (low, middle - 1)
        return math.nextafter(ordered[low], math.inf) if low < len(ordered) else -math.inf

    def found(self, places: Iterable[int], only: bool) -> float:
        """Give the share of scenarios of which one of these events is a part."""
        names = {self.recording.attacks[self.recording.ids[place]][0] for place in self.attacks(only)}
        chosen = {self.recording.attacks.get(self.recording.ids[place], ("", False))[0] for place in places}
        return len(names & chosen) / len(names)

    def row(self, name: str, scores: Scores, only: bool) -> str:
        """Give one line of the table."""
        attacks, benign = self.attacks(only), [scores[place] for place in self.benign()]
        positive = [scores[place] for place in attacks]

        def share(threshold: float) -> str:
            return f"{self.found((place for place in attacks if scores[place] >= threshold), only):.2f}"

        budgets = " | ".join(share(self.within(scores, number)) for number in (10, 5, 2))
        return (
            f"| {name} | {auroc(positive, benign):.3f} | {average_precision(positive, benign):.3f} | "
            f"{share(threshold_at(benign, 0.001))} | {share(threshold_at(benign, 0.0022))} | {budgets} |"
        )

    def own(self, alerts: list[int]) -> str:
        """Give what the model's own alerts found, and at what price."""
        false = incidents(self.recording, sorted(set(alerts) & set(self.benign())), self.gap) / self.days
        late = [place for place in alerts if place >= self.recording.first]
        everything, only = (self.found(late, one) for one in (False, True))
        return f"own alerts: scenarios {everything:.2f}, anomaly-only {only:.2f}, {false:.1f} false incidents a day"


HEAD = (
    "| model | AUROC | AP | S at 1 in 1,000 | S at 2.2 in 1,000 | S at 10 incidents a day | at 5 | at 2 |\n"
    "|---|---|---|---|---|---|---|---|"
)


def ours(recording: Recording, settings: Settings, prior: bool) -> tuple[Scores, list[int], Model]:
    """Run the model over a recording; gives scores and the places of what it alerted."""
    model, scores, alerts = Model(settings), Scores(), list[int]()
    if prior:
        begin(model, starter())
    for place, x in enumerate(recording.requests):
        judgement = model.judge(x)
        scores.append(judgement.score)
        if judgement.alert:
            alerts.append(place)
    return scores, alerts, model


def others(recording: Recording, day: float) -> dict[str, Callable[[], Scores]]:
    """Give the models to compare with."""
    requests = recording.requests
    return {
        "half-space trees": lambda: ours(recording, Settings(day=day, estimator="trees"), prior=False)[0],
        "never seen (actor, action)": lambda: list(never_seen(requests)),
        "new pairs": lambda: list(new_pairs(requests)),
        "rarity of the triple": lambda: list(rarity(requests)),
        "rare in buckets": lambda: list(rare_in_buckets(requests, day / 96)),
    }


def main() -> None:
    """Judge and print; says so politely where a recording is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomaly", description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="*")
    parser.add_argument("--day", type=float, default=86_400.0, help="seconds of a day, if time was compressed")
    parser.add_argument("--budget", type=float, default=5.0, help="incidents a day")
    parser.add_argument("--memory", type=float, default=300.0, help="seconds after which evidence counts half")
    parser.add_argument("--scores", type=Path, help="write the scores of our model there, for another judge")
    parser.add_argument("--starter", action="store_true", help="begin with the prior in models/")
    parser.add_argument("--train", type=Path, help="make a prior of the parts before the first attack, there")
    parser.add_argument("--cost", action="store_true", help="measure time per event, against the floor")
    parser.add_argument("--memory-bound", action="store_true", help="measure the memory of a large cluster")
    options = parser.parse_args()
    if options.memory_bound:
        memory_bound()
    if options.cost:
        for folder in options.recordings:
            cost(folder)
        return
    if options.train:
        train(options.train, options.recordings, Settings(options.budget, options.day, options.memory))
        return
    for folder in options.recordings:
        if not (folder / "labels.jsonl").exists():
            print(f"{folder}: no labelled recording there, skipped")
            continue
        recording = load(folder)
        settings = Settings(options.budget, options.day, options.memory)
        scores, alerts, model = ours(recording, settings, options.starter)
        judge = Judge(recording, options.day)
        table = {"ours": scores, **{name: make() for name, make in others(recording, options.day).items()}}
        for only in (False, True):
            print(f"\n{folder.name}, {'anomaly-only' if only else 'all'} scenarios\n\n{HEAD}")
            print("\n".join(judge.row(name, one, only) for name, one in table.items()))
        print(f"\n{judge.own(alerts)}; threshold {model.calibration.threshold:.1f} bits")
        if options.scores:
            write(options.scores, recording, scores, set(alerts))


def train(path: Path, folders: list[Path], settings: Settings) -> None:
    """Make a prior of what recordings show before their first attack."""
    models = []
    for folder in folders:
        recording, model = load(folder), Model(settings)
        for x in recording.requests[: recording.first]:
            model.judge(x)
        models.append(model)
    path.write_bytes(orjson.dumps(extract(models)) + b"\n")


def cost(folder: Path) -> None:
    """Print CPU time per event, least of five: features and model against `orjson.loads` of the same lines."""
    lines = logs.lines(folder / "audit.jsonl.gz")[:30_000]

    def decoded() -> list[Event]:
        return [decode_event(line) for line in lines]

    def featured() -> measure.Task:
        events = [(event, event.time or 0) for event in decoded()]
        return lambda: [features(event, at) and None for event, at in events]

    def judged() -> measure.Task:
        requests, model = [features(event, event.time or 0) for event in decoded()], Model()
        return lambda: list(map(model.judge, requests))

    makers: dict[str, Callable[[], measure.Task]] = {
        "floor: orjson.loads": lambda: lambda: [orjson.loads(line) and None for line in lines],
        "features": featured,
        "score and learn": judged,
    }
    best = measure.interleaved(makers)
    for name, seconds in best.items():
        times = seconds / best["floor: orjson.loads"]
        print(f"  {name:24} {seconds / len(lines) * 1e6:7.2f} µs/event {times:6.2f} x")


def memory_bound() -> None:
    """Print the memory of 3,000 actors with 30 actions each in 5 namespaces, then of 20,000 names seen once more."""
    model, before = Model(), resident(os.getpid())
    plain = dict.fromkeys(("kind", "agent", "credential", "claimed", "outcome", "form"), "x") | {"refused": False}
    for number in range(270_000):
        # A hundred actors at a time do their thirty things thrice.
        block, place = divmod(number, 9_000)
        actor, doing = block * 100 + place % 100, place // 100 % 30
        who = {"actor": f"actor-{actor}", "peers": f"peers-{actor % 50}", "address": f"10.0.{actor}", "network": "10.0"}
        where = {
            "action": f"get kinds-{doing}",
            "namespace": f"ns-{actor % 100}-{doing % 5}",
            "object": f"it-{actor % 7}",
        }
        model.judge({**plain, **who, **where, "time": START + number * SECOND // 50})
    steady = resident(os.getpid())
    for number in range(20_000):
        name = f"name-{number}"
        fresh = dict.fromkeys(("actor", "action", "namespace", "object", "address", "network", "peers"), name)
        model.judge({**plain, **fresh, "time": START + (270_000 + number) * SECOND // 50})
    sizes = (steady - before) / MB, (resident(os.getpid()) - steady) / MB
    begin_dump = time.process_time()
    size = len(msgspec.msgpack.encode(model.dump())) / MB
    print(f"  3,000 actors: {sizes[0]:.0f} MiB; 20,000 names seen once: {sizes[1]:.0f} MiB more")
    print(f"  state: {size:.0f} MiB, {time.process_time() - begin_dump:.1f} s to write")


def write(path: Path, recording: Recording, scores: Scores, alerts: set[int]) -> None:
    """Write one line per request, in the order of the file: auditID, score, alert."""
    with path.open("wb") as file:
        for place, (name, score) in enumerate(zip(recording.ids, scores, strict=True)):
            file.write(orjson.dumps({"auditID": name, "score": score, "alert": place in alerts}) + b"\n")


if __name__ == "__main__":
    main()
