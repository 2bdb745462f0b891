"""``redshank rules``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from detector.cli.options import LEVELS, BuiltinOption, JsonOption, PacksOption, RulesOption, level, packs

app = typer.Typer(no_args_is_help=True, help="List, show, check, test and explain rules.")
imports = typer.Typer(no_args_is_help=True, help="Turn the rules of another detector into rules of ours.")

RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="Id, name, or part of the title or file name.")]
PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="Rule files or folders; without any, the built-in rules."),
]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
WRITE, READ = "Write rules", "Read rules"


def _print_json(record: Any) -> None:
    from detector.encodings.jsontext import dumps, printable

    typer.echo(printable(dumps(record)))


@app.command("list", rich_help_panel=READ)
def list_(
    text: Annotated[
        list[str] | None, typer.Argument(metavar="WORD", help="Only rules that say all of these words of themselves.")
    ] = None,
    *,
    level_: Annotated[
        str | None, typer.Option("--level", metavar="LEVEL", help=f"Only this level and above: {LEVELS}.")
    ] = None,
    pack: Annotated[str, typer.Option(metavar="NAMES", help="Only these packs, with commas.")] = "",
    tactic: Annotated[str, typer.Option(metavar="NAME", help="Only this tactic of ATT&CK: credential-access.")] = "",
    technique: Annotated[
        str, typer.Option(metavar="ID", help="Only this technique of ATT&CK: T1552 (and what is below), T1552.007.")
    ] = "",
    tag: Annotated[str, typer.Option(metavar="TAG", help="Only rules with this tag: attack.t1552.007.")] = "",
    answers: Annotated[
        str, typer.Option(metavar="IDEA", help="Only rules that answer this idea of the detection census.")
    ] = "",
    rules: RulesOption = None,
    builtin: BuiltinOption = True,
    json: JsonOption = False,
) -> None:
    """List rules: id, level, pack, title, techniques. What is given must all hold."""
    from detector.report.catalogue import Catalogue
    from detector.report.query import Query
    from detector.report.rules import as_record, chosen, list_rules
    from detector.report.terminal import Page

    query = Query(
        level=level(level_, "--level"),
        packs=packs(pack, "--pack") if pack else (),
        tactic=tactic,
        technique=technique,
        tag=tag,
        answers=answers,
        text=" ".join(text or ()),
    )
    catalogue = Catalogue(rules or [], builtin=builtin)
    if json:
        _print_json([as_record(one, catalogue.infos.get(one.id)) for one in chosen(catalogue, query)])
    else:
        list_rules(Page(), catalogue, query)


@app.command(rich_help_panel=READ)
def show(rule: RuleArgument, rules: RulesOption = None, builtin: BuiltinOption = True) -> None:
    """Show one rule: what it looks for, what to do when it alerts, what it is related to, and its YAML."""
    from detector.report.catalogue import Catalogue
    from detector.report.rules import show_rule
    from detector.report.terminal import Page

    catalogue = Catalogue(rules or [], builtin=builtin)
    show_rule(Page(), catalogue, catalogue.find(rule))


@app.command(rich_help_panel=WRITE)
def check(
    paths: PathsArgument = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 on warnings too.")] = False,
    json: JsonOption = False,
) -> None:
    """Look for mistakes in rules: FILE:LINE:COLUMN: error|warning|note: MESSAGE. Exits with 2 on errors."""
    from detector.report import checks
    from detector.report.terminal import Page

    code, problems = checks.check(Page(), paths or [], strict=strict, as_json=json)
    if json:
        _print_json(problems)
    raise typer.Exit(code)


@app.command("test", rich_help_panel=WRITE)
def run_tests(
    paths: PathsArgument = None, rules: RulesOption = None, builtin: BuiltinOption = True, json: JsonOption = False
) -> None:
    """Run the tests inside rules. Exits with 2 when one fails or a rule cannot be loaded."""
    from detector.report import checks
    from detector.report.terminal import Page

    code, outcome = checks.test(Page(), [*(paths or []), *(rules or [])], builtin=builtin and not paths, as_json=json)
    if json:
        _print_json(outcome)
    raise typer.Exit(code)


@app.command(rich_help_panel=WRITE)
def explain(
    rule: RuleArgument,
    event: Annotated[
        str, typer.Argument(metavar="FILE", help="Events, or alerts as replay --out writes them; - is standard input.")
    ],
    *,
    line: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the event in this line of the file, from 1.")
    ] = None,
    audit_id: Annotated[str, typer.Option(metavar="ID", help="Only events with this audit ID.")] = "",
    matching: Annotated[bool, typer.Option("--matching", help="Only events on which the rule holds.")] = False,
    rules: RulesOption = None,
    builtin: BuiltinOption = True,
    json: JsonOption = False,
) -> None:
    """Say why a rule holds of an event, or why not: each question with the values it saw.

    Of a file with many events --line, --audit-id or --matching choose. With --json, one line for each event.
    """
    from detector.report import explanation
    from detector.report.catalogue import Catalogue
    from detector.report.chosen import Choice
    from detector.report.terminal import Page

    catalogue, page = Catalogue(rules or [], builtin=builtin), Page()
    choice = Choice(event, audit_id, matching, line)
    for one in explanation.start(page, catalogue, catalogue.find(rule), choice, quiet=json):
        if json:
            _print_json(explanation.as_record(one))
        else:
            explanation.print_explanation(page, one)


@app.command(rich_help_panel=READ)
def coverage(
    rules: RulesOption = None,
    builtin: BuiltinOption = True,
    packs_: PacksOption = "core,extended,hunting",
    navigator: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a layer for the ATT&CK Navigator (format 4.5).")
    ] = None,
    markdown: MarkdownOption = False,
    json: JsonOption = False,
) -> None:
    """Show which tactics and techniques of ATT&CK, and which ideas of the detection census, the rules cover."""
    from detector.report import reference
    from detector.report.catalogue import Catalogue
    from detector.report.terminal import Page
    from detector.sigma.coverage import cover

    covered = cover(Catalogue(rules or [], builtin=builtin).alerting(packs(packs_)))
    if navigator:
        reference.write_layer(navigator, covered)
    elif json:
        _print_json(reference.coverage_json(covered))
    elif markdown:
        typer.echo(reference.coverage_markdown(covered), nl=False)
    else:
        reference.print_coverage(Page(), covered)


@app.command(rich_help_panel=WRITE)
def fields(markdown: MarkdownOption = False, json: JsonOption = False) -> None:
    """List the derived fields that rules can name, with their shapes and meanings."""
    from detector.report import reference
    from detector.report.terminal import Page

    if json:
        _print_json(reference.fields_json())
    elif markdown:
        typer.echo(reference.fields_markdown(), nl=False)
    else:
        reference.print_fields(Page())


@imports.command()
def falco(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Falco's rules files, in the order in which Falco reads them.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each rule to a file of its own here; without, print them.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn Falco's rules for Kubernetes audit events into rules of ours.

    Standard error tells what has no equivalent, with the reason, and what means something else here. Exits with 2 when
    no rule could be converted.
    """
    from detector.report import falco as imported
    from detector.report.terminal import Page
    from detector.setup import files, folder

    conversion = imported.load(paths)
    if out:
        made = [files.File(one.file, one.text.encode()) for one in conversion.converted]
        folder.write(out, made, force=force)
    if json:
        _print_json(imported.as_record(conversion))
    else:
        typer.echo("" if out else imported.documents(conversion), nl=False)
        imported.tell(Page(sys.stderr), conversion, f"; they are in {out}" if out else "")
    raise typer.Exit(imported.exit_code(conversion))


app.add_typer(imports, name="import", rich_help_panel=WRITE)
