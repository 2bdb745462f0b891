"""``redshank alerts``: what a running daemon has found, and what people say of it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.serve import Config

if TYPE_CHECKING:
    from detector.service.client import Client

app = typer.Typer(help="Look at the alerts of a running daemon, and judge them.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the daemon keeps its state.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one entry a line.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for those who come after you.")]
Who = Annotated[str, typer.Option("--who", metavar="NAME", help="Who says so.", show_default="your login")]


def client_of(config: Path | None, data_dir: Path | None) -> Client:
    """Give the way to the daemon that settings name."""
    from detector.config import load
    from detector.service.client import Client

    return Client(data_dir or load(config).data_dir)


def me(who: str) -> str:
    """Give who says something: whom the flag names, or else whoever is logged in."""
    return who or getpass.getuser()


@app.command("list")
def list_(
    config: Config = None,
    data_dir: DataDir = None,
    *,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="This level and above.")] = None,
    cluster: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    actor: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    rule: Annotated[str | None, typer.Option(metavar="RULE", help="Id or title.")] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="open or closed.")] = None,
    verdict: Annotated[str | None, typer.Option(metavar="VERDICT", help="dismissed or confirmed.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Seen at or after, RFC 3339.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    json: Json = False,
) -> None:
    """List alerts, newest first."""
    from detector.report.stored import print_alerts

    wanted = {"level": level, "cluster": cluster, "actor": actor, "rule": rule, "status": status, "verdict": verdict}
    told = client_of(config, data_dir).ask("GET", "/api/alerts", **wanted, since=since, limit=limit)
    print_alerts(told["alerts"], json=json)


@app.command()
def show(id_: Id, config: Config = None, data_dir: DataDir = None, *, json: Json = False) -> None:
    """Show one alert in full: why, who, what, and what to do next."""
    from detector.report.stored import print_alert

    print_alert(client_of(config, data_dir).ask("GET", f"/api/alerts/{id_}"), json=json)


@app.command()
def dismiss(id_: Id, why: Why, config: Config = None, data_dir: DataDir = None, who: Who = "") -> None:
    """Say that an alert is not worth telling: no more is heard of it until it closes."""
    client_of(config, data_dir).ask("POST", f"/api/alerts/{id_}/dismiss", {"who": me(who), "why": why})


@app.command()
def confirm(id_: Id, why: Why, config: Config = None, data_dir: DataDir = None, who: Who = "") -> None:
    """Say that an alert is what it seems."""
    client_of(config, data_dir).ask("POST", f"/api/alerts/{id_}/confirm", {"who": me(who), "why": why})


@app.command()
def suppress(
    why: Why,
    until: Annotated[str, typer.Option(metavar="TIME", help="When it ends, RFC 3339; at most a year from now.")],
    config: Config = None,
    data_dir: DataDir = None,
    *,
    rule: Annotated[str, typer.Option(metavar="PATTERN", help="Id or title of the rule.")] = "",
    actor: Annotated[str, typer.Option(metavar="PATTERN")] = "",
    target: Annotated[str, typer.Option(metavar="PATTERN", help="namespace/resource/name.")] = "",
    source: Annotated[str, typer.Option(metavar="PATTERN", help="Address.")] = "",
    cluster: Annotated[str, typer.Option(metavar="PATTERN")] = "",
    who: Who = "",
) -> None:
    """Do not alert on findings that match every pattern given (``*`` stands for anything), until a time."""
    patterns = {"rule": rule, "actor": actor, "target": target, "source": source, "cluster": cluster}
    body = {"owner": me(who), "reason": why, "until": until, **patterns}
    typer.echo(client_of(config, data_dir).ask("POST", "/api/suppressions", body)["id"])


@app.command()
def suppressions(config: Config = None, data_dir: DataDir = None, *, json: Json = False) -> None:
    """List the suppressions in force."""
    from detector.report.stored import print_entries

    told = client_of(config, data_dir).ask("GET", "/api/suppressions")["suppressions"]
    print_entries(
        told, ("id", "until", "silenced", "owner", "reason", "rule", "actor", "target", "source", "cluster"), json=json
    )


@app.command()
def lift(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The suppression's id.")],
    why: Why,
    config: Config = None,
    data_dir: DataDir = None,
    who: Who = "",
) -> None:
    """End a suppression before its time."""
    client_of(config, data_dir).ask("DELETE", f"/api/suppressions/{id_}", {"who": me(who), "why": why})


@app.command("dead-letters")
def dead_letters(
    config: Config = None,
    data_dir: DataDir = None,
    *,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="body, item or delivery.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    json: Json = False,
) -> None:
    """List what could not be read or delivered, newest first."""
    from detector.report.stored import print_entries

    told = client_of(config, data_dir).ask("GET", "/api/dead-letters", kind=kind, limit=limit)["dead_letters"]
    print_entries(told, ("id", "kind", "last_at", "count", "cluster", "peer", "sink", "reason"), json=json)


@app.command()
def redeliver(
    config: Config = None,
    data_dir: DataDir = None,
    *,
    ids: Annotated[list[int] | None, typer.Option("--id", metavar="ID", help="Ids of dead letters.")] = None,
    sink: Annotated[str | None, typer.Option(metavar="NAME", help="All that could not be sent to this sink.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All.")] = False,
) -> None:
    """Send alerts again that could not be delivered; prints how many."""
    body = {"ids": ids or None, "sink": sink, "all": all_}
    typer.echo(client_of(config, data_dir).ask("POST", "/api/dead-letters/redeliver", body)["redelivered"])
