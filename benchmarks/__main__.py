"""``make bench``: what replay costs, as ratios to a floor measured in the same run.

The floor is ``orjson.loads`` of every line of the same log, decompressed, the result thrown away, garbage collection
on. CPU time, least of five interleaved rounds in one process. ``--log`` names a longer recording than the shipped one.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import orjson

from benchmarks import logs, measure, rules
from detector.formats import decompress, read
from detector.pipeline import Detector, rule_files
from detector.sigma.rule import DEFAULT_PACKS, PACKS
from detector.sigma.source import RuleFile

SAMPLE = Path(__file__).resolve().parent.parent / "sample_logs" / "attack.jsonl.gz"
MB = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--log", type=Path, default=SAMPLE, help="a recording (JSON lines, gzip or plain)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long-mb", type=int, default=500, help="size of the long log for the memory figure")
    options = parser.parse_args()
    recording = logs.lines(options.log)
    print(f"{options.log.name}: {len(recording):,} lines, {sum(map(len, recording)) / MB:.0f} MB plain")
    throughput(recording, options.rounds)
    many_rules(recording, options.rounds)
    memory(recording, options.long_mb)
    start_up(recording)


def replay(path: Path, files: list[RuleFile], packs: Iterable[str] = PACKS) -> measure.Task:
    """Give the task of replaying a file with these rules; loading them is not part of it."""
    detector = Detector.load(rules=files, packs=packs)

    def task() -> None:
        with path.open("rb") as file:
            for batch in read(decompress(file)):
                detector.append(batch)
        detector.finish()

    return task


def throughput(recording: list[bytes], rounds: int) -> None:
    """Print decode and replay, with several sets of rules, against the floor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.gz"
        path.write_bytes(gzip.compress(b"\n".join(recording) + b"\n", 6))
        best = measure.interleaved(
            {
                "floor: orjson.loads": lambda: partial(_loads, recording),
                "decode gz to events": lambda: partial(_decode, path),
                "replay gz, 120 rules": partial(replay, path, rules.mix(120)),
                "replay gz, first rules": partial(replay, path, rules.first()),
                "replay gz, default packs": partial(replay, path, rule_files(), DEFAULT_PACKS),
            },
            rounds,
        )
    _print(best, len(recording))
    whole, alone = best["replay gz, default packs"], best["replay gz, first rules"]
    print(f"  default packs against the first rules: {whole / alone:.2f} x")


def _loads(recording: list[bytes]) -> None:
    for line in recording:
        orjson.loads(line)


def _decode(path: Path) -> None:
    with path.open("rb") as file:
        for _ in read(decompress(file)):
            pass


def many_rules(recording: list[bytes], rounds: int) -> None:
    """Print what a thousand rules cost against a hundred, with decoding and without."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"\n".join(recording) + b"\n")
        best = measure.interleaved(
            {f"{number} bound rules": partial(replay, path, rules.bound(number)) for number in (100, 1000)}, rounds
        )
    _print(best, len(recording))


def _print(best: dict[str, float], events: int) -> None:
    first = next(iter(best.values()))
    for name, seconds in best.items():
        print(f"  {name:24} {seconds / events * 1e6:7.2f} µs/event {seconds / first:6.2f} x")


def memory(recording: list[bytes], long_mb: int) -> None:
    """Print the peak memory of a long log against that of a 50 MB one."""
    short, long = (measure.peak_memory(logs.repeated(recording, size * MB)) for size in (50, long_mb))
    print(
        f"  peak memory: 50 MB log {short / 1024:.0f} MiB, {long_mb} MB log {long / 1024:.0f} MiB: {long / short:.2f} x"
    )


def start_up(recording: list[bytes]) -> None:
    """Print the time of a whole process that replays one event."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(recording[0] + b"\n")
        file.flush()
        best = min(measure.whole_process(Path(file.name)) for _ in range(5))
    print(f"  start to end of a one-event replay: {best:.2f} s (least of five)")


if __name__ == "__main__":
    main()
