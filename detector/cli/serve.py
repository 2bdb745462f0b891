"""``redshank serve`` and ``redshank config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Settings in YAML.", envvar="REDSHANK_CONFIG"),
]
app = typer.Typer(help="Look at the settings of the daemon.", no_args_is_help=True)


def serve(
    config: Config = None,
    *,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the journal and the state are kept.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where API servers post audit events.")
    ] = None,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait while another redshank has the data directory, then take over.")
    ] = False,
) -> None:
    """Take audit events from kube-apiservers, and send alerts, for months.

    Without a configuration it listens on 127.0.0.1:8889, keeps its state in ~/.local/state/redshank,
    and prints alerts to standard output as JSON lines.

    Exit codes: 0 stopped; 2 the data directory or a rule cannot be used; 3 bad settings.
    SIGTERM and SIGINT stop it within stop_within; SIGHUP reads settings, rules and certificates again.
    """
    from detector.service.run import run

    raise typer.Exit(run(config, _flags(data_dir, listen), standby=standby))


def _flags(data_dir: Path | None, listen: str | None) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if data_dir is not None:
        flags["data_dir"] = data_dir
    if listen is not None:
        flags["webhook"] = {"listen": listen}
    return flags


@app.command()
def check(config: Config = None) -> None:
    """Read settings, rules and certificates, and say what is wrong with them. Nothing is started.

    Exit codes: 0 fine; 2 a rule cannot be used; 3 bad settings.
    """
    from detector.service.configuration import check as look

    for line in look(config):
        typer.echo(line)


@app.command()
def example() -> None:
    """Print a settings file with every setting, its meaning and its default."""
    from detector.report.example import example as written

    typer.echo(written(), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings."""
    import orjson

    from detector.config import Settings

    typer.echo(orjson.dumps(Settings.model_json_schema(mode="serialization"), option=orjson.OPT_INDENT_2).decode())
