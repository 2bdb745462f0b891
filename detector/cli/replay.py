"""``redshank replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def replay(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or patterns; - is standard input.")],
    rules: Annotated[list[Path] | None, typer.Option(help="More rules: a file or folder (repeatable).")] = None,
    builtin: Annotated[bool, typer.Option("--builtin-rules/--no-builtin-rules")] = True,
    packs: Annotated[str, typer.Option(help="Packs of rules.")] = "core,extended",
) -> None:
    """Replay archived audit logs and show what happened, and why."""
    from detector.formats import decompress, read
    from detector.pipeline import Detector, rule_files
    from detector.pipeline import replay as run
    from detector.report.plain import plain
    from detector.report.summary import Summary

    detector = Detector.load(rules=rule_files(rules or [], builtin=builtin), packs=packs)
    summary = Summary()

    def told(batch, alerts):
        summary.batch(batch)
        for alert in alerts:
            if alert.status == "closed":
                summary.alert(alert)

    for path in paths:
        with open(path, "rb") as f:
            run(detector, read(decompress(f)), told)
    print(detector.fold.counters, summary.levels)
    for alert in summary.best():
        print(alert.level.name, alert.title, alert.actor, plain(" ".join(map(str, alert.reasons))))
