"""``redshank db``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.options import JsonOption

app = typer.Typer(no_args_is_help=True, help="Check, back up and restore the data directory.")

DirectoryArgument = Annotated[
    Path, typer.Argument(metavar="DATA_DIR", help="The data directory; the daemon may be using it.")
]


@app.command()
def check(
    directory: DirectoryArgument,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what reads every byte.")] = False,
    json: JsonOption = False,
) -> None:
    """Look for damage and missing parts. Exits with 2 when there is any."""
    from detector.report.store import as_record, print_report
    from detector.report.terminal import Page
    from detector.store.checks import check

    report = check(directory, quick=quick)
    if json:
        _print_json(as_record(report))
    else:
        print_report(Page(), report)
    raise typer.Exit(2 if report.problems else 0)


@app.command()
def backup(
    directory: DirectoryArgument,
    to: Annotated[Path, typer.Argument(metavar="BACKUP", help="A directory that does not exist yet.")],
    json: JsonOption = False,
) -> None:
    """Copy the store as it is at one moment into a new directory, while the daemon goes on."""
    from detector.store.maintenance import backup

    backup(directory, to)
    _done({"backup": str(to)}, f"backed up to {to}", json)


@app.command()
def restore(
    backed_up: Annotated[Path, typer.Argument(metavar="BACKUP", help="What redshank db backup has made.")],
    directory: Annotated[Path, typer.Argument(metavar="DATA_DIR", help="A data directory that no redshank is using.")],
    replace: Annotated[bool, typer.Option("--replace", help="Move a store that is there aside.")] = False,
    json: JsonOption = False,
) -> None:
    """Put the store of a backup into a data directory. What came after the backup is not in it."""
    from detector.store.maintenance import restore

    restore(backed_up, directory, replace=replace)
    _done({"restored": str(directory)}, f"restored to {directory}", json)


def _done(record: dict[str, str], text: str, json: bool) -> None:
    from detector.encodings.plain import plain

    if json:
        _print_json(record)
    else:
        typer.echo(plain(text))


def _print_json(record: object) -> None:
    from detector.encodings.jsontext import dumps, printable

    typer.echo(printable(dumps(record)))
