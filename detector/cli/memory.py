"""``redshank memory``: what is known of the clusters that are watched."""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli.alerts import DataDir, Who
from detector.cli.serve import Config

app = typer.Typer(no_args_is_help=True, help="Tell memory what is in a cluster.")


@app.callback()
def _group() -> None:
    """Tell memory what is in a cluster."""


@app.command()
def seed(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="What kubectl get … -o json printed; - is standard input.")
    ],
    config: Config = None,
    data_dir: DataDir = None,
    *,
    cluster: Annotated[str, typer.Option(metavar="NAME", help="Needed where there are several.")] = "",
    who: Who = "",
) -> None:
    """Tell a running daemon what is in a cluster: pods, workloads, roles, bindings, namespaces, webhooks.

    Memory learns from requests; what was there before is unknown until somebody touches it, or this command tells.
    """
    from detector.cli.alerts import client_of, me
    from detector.report.dumps import entries_in, messages, only_one, told

    entries, daemon = entries_in(files), client_of(config, data_dir)
    name = cluster or only_one(daemon.ask("GET", "/api/status")["clusters"])
    for message in messages(entries, name, me(who)):
        daemon.ask("POST", "/api/memory", message)
    typer.echo(told(name, entries))
