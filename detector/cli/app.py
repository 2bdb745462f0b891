"""The commands of ``redshank``, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli import alerts, db, doctor, init, memory, replay, rules, serve
from detector.version import __version__

app = typer.Typer(
    name="redshank",
    help="Watches Kubernetes API audit logs and calls out what is wrong, and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("replay", rich_help_panel="Look at logs")(replay.replay)
app.command("serve", rich_help_panel="Watch clusters")(serve.serve)
app.add_typer(init.app, name="init", rich_help_panel="Watch clusters")
app.add_typer(serve.app, name="config", rich_help_panel="Watch clusters")
app.command("doctor", rich_help_panel="Watch clusters")(doctor.doctor)
app.add_typer(alerts.app, name="alerts", rich_help_panel="Watch clusters")
app.add_typer(memory.app, name="memory", rich_help_panel="Watch clusters")
app.add_typer(db.app, name="db", rich_help_panel="Watch clusters")
app.add_typer(rules.app, name="rules", rich_help_panel="Work with rules")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"redshank {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Watch Kubernetes API audit logs and call out what is wrong, and why."""
