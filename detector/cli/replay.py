"""``redshank replay``."""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli.options import LEVELS, BuiltinOption, PacksOption, RulesOption, level, moment, packs
from detector.finding import Level

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH...", help="Files (also .gz .zst .xz .bz2), folders or patterns; - is standard input."),
]
SHOWN, TIMES = "What is shown", "Which events"
TIME_FORMS = "2026-03-05T14:00:00Z, 2026-03-05, or 2h, 7d before the newest event"


def replay(
    paths: Paths,
    *,
    level_: Annotated[
        str,
        typer.Option(
            "--level", metavar="LEVEL", help=f"Show alerts of this level and above: {LEVELS}.", rich_help_panel=SHOWN
        ),
    ] = "informational",
    all_: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Show every alert in full, not just 20, or up to 40 of level high and above.",
            rich_help_panel=SHOWN,
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON instead of the screen.", rich_help_panel=SHOWN)
    ] = False,
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Write every alert as a line of JSON; - is standard output.", rich_help_panel=SHOWN
        ),
    ] = "",
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL", help="Exit with 1 when there is an alert of this level or above.", rich_help_panel=SHOWN
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help=f"Only events from then on: {TIME_FORMS}.", rich_help_panel=TIMES)
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only events before then; same forms.", rich_help_panel=TIMES)
    ] = None,
    rules: RulesOption = None,
    builtin: BuiltinOption = True,
    packs_: PacksOption = "core,extended",
    seed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="What kubectl get … -o json says of the cluster, for memory; may be repeated."
        ),
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            help="Blank this beside known secrets, such as requestObject.data.*; repeatable. No rule sees it either.",
        ),
    ] = None,
) -> None:
    """Replay archived audit logs: what happened, who did it, and why it matters.

    Exit codes: 0 fine; 1 an alert at or above --fail-on;
    2 an input cannot be opened or holds no audit event, or a bad rule;
    3 wrong flags; 130 interrupted (what was found so far is shown).
    Records that are no audit events are counted, and change no exit code.
    """
    from detector.report.replay import Options, run

    options = Options(
        paths=paths,
        rules=rules or [],
        builtin=builtin,
        packs=packs(packs_),
        level=level(level_, "--level") or Level.informational,
        fail_on=level(fail_on, "--fail-on"),
        since=moment(since, "--since"),
        until=moment(until, "--until"),
        out=out,
        json=json,
        all=all_,
        seeds=seed or [],
        redact=redact or [],
    )
    raise typer.Exit(run(options))
