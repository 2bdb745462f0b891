"""``redshank init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.setup.plan import Plan

app = typer.Typer(no_args_is_help=True, help="Write what other programs need to work with redshank.")


@app.callback()
def _group() -> None: ...


@app.command("kube-apiserver")
def kube_apiserver(
    cluster: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What redshank is to call the cluster. Repeatable.")
    ] = None,
    url: Annotated[str, typer.Option(metavar="URL", help="Where API servers reach redshank: https://host:port.")] = "",
    node_ip: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A further address or name for redshank's certificate. Repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")] = Path("redshank-init"),
    token: Annotated[
        bool, typer.Option("--token", help="API servers prove themselves by a token instead of a certificate.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over files, and renew certificates. The folder's CA stays.")
    ] = False,
    print_: Annotated[
        str, typer.Option("--print", metavar="FILE", help="Write nothing; print one file, such as audit-policy.yaml.")
    ] = "",
) -> None:
    """Write what an API server needs to send its audit events here.

    Webhook kubeconfig, trial certificates, audit policy, flags with their reasons, redshank's own configuration, and a
    README that says step by step what goes where.
    """
    from detector.setup.files import SHIPPED, shipped

    if print_ in SHIPPED:
        typer.echo(shipped(print_), nl=False)
        return
    plan = _plan(cluster, url, node_ip, token)
    if print_:
        _print(plan, print_)
    else:
        _write(plan, out, force)


def _plan(clusters: list[str] | None, url: str, node_ips: list[str] | None, token: bool) -> Plan:
    from detector.setup.plan import Plan

    if not clusters or not url:
        raise ConfigError("--cluster NAME and --url https://host:port are needed")
    return Plan.make(clusters, url, node_ips or [], token=token)


def _print(plan: Plan, name: str) -> None:
    from detector.setup.files import printable

    typer.echo(printable(plan, name), nl=False)


def _write(plan: Plan, out: Path, force: bool) -> None:
    from datetime import UTC, datetime

    from detector.setup import files, folder

    now = datetime.now(UTC)
    authority = folder.authority_in(out, now)
    made = files.files(plan, files.credentials(plan, authority, now))
    folder.write(out, made, force=force)
    for file in made:
        typer.echo(out / file.path)
    typer.echo(f"Certificates are valid until {authority.end_of(now):%Y-%m-%d}. Read {out / files.README} next.")
