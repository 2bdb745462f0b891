"""``redshank doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.alerts import DataDir
from detector.cli.options import JsonOption
from detector.cli.serve import Config

PANEL = "To post as an API server does"


def doctor(
    config: Config = None,
    data_dir: DataDir = None,
    *,
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="The cluster of the test batch.", show_default="the first configured")
    ] = "",
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds a bearer token of that cluster.", rich_help_panel=PANEL)
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A client certificate, PEM.", rich_help_panel=PANEL)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of the certificate, PEM.", rich_help_panel=PANEL)
    ] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long a link may take.", min=1, max=600)] = 20.0,
    json: JsonOption = False,
) -> None:
    """Send a test alert through a running daemon to every sink, and name what is wrong, and what to do.

    Looks at clocks, disk, certificates, rules, clusters that send nothing, and dead letters, too.
    The test alert reaches every sink, whatever its level; it says that it is a test.

    Exit codes: 0 all is fine; 1 something is not; 3 bad settings.
    """
    from detector.config import load
    from detector.report.doctor import print_checks
    from detector.service.doctor import Proof, examine

    settings = load(config, {} if data_dir is None else {"data_dir": data_dir})
    proof = Proof.read(token_file, cert, key)
    checks = examine(settings, cluster=cluster, proof=proof, wait=wait, tell=_tell)
    raise typer.Exit(print_checks(checks, json=json))


def _tell(waits_for: str) -> None:
    from detector.encodings.plain import plain

    typer.echo(f"{plain(waits_for)} …", err=True)
