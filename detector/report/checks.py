"""What `rules check` and `rules test` print."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from detector.encodings.plain import plain
from detector.errors import ConfigError, RuleError
from detector.memory import Memory
from detector.pipeline import builtin_rules, rule_files
from detector.report.catalogue import kind
from detector.report.terminal import Page
from detector.report.words import count
from detector.sigma.document import Loaded
from detector.sigma.lint import Problem, lint
from detector.sigma.load import load_all
from detector.sigma.selftest import Result, run, untested
from detector.sigma.source import RuleFile, documents, find_files, read_file

FAILED = 2
"""Exit code."""


def read(paths: list[Path], *, builtin: bool) -> list[RuleFile]:
    """Read rule files, and those that ship with redshank where ``builtin``; named as seen from here."""
    if not paths and not builtin:
        raise ConfigError("no rules: --no-builtin-rules needs --rules, or a file")
    return [_named_from_here(file) for file in rule_files(paths, builtin=builtin)]


def _named_from_here(file: RuleFile) -> RuleFile:
    return msgspec.structs.replace(file, path=_from_here(file.path))


def _from_here(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def check(page: Page, paths: list[Path], *, strict: bool, as_json: bool) -> tuple[int, list[Any]]:
    """Lint rules, and print the problems; gives the exit code and the problems as JSON types."""
    files, problems = _readable(paths or [builtin_rules()])
    problems += lint(files, read([], builtin=True) if paths else [])
    problems += [_empty(file) for file in files if documents(file) == ([], [])]
    if not as_json:
        _print_problems(page, len(files), problems)
    severities = {problem.severity for problem in problems}
    failed = "error" in severities or (strict and "warning" in severities)
    return FAILED if failed else 0, msgspec.to_builtins(problems)


def _readable(paths: list[Path]) -> tuple[list[RuleFile], list[Problem]]:
    """Read rule files; what cannot be read is a problem beside the others."""
    files: list[RuleFile] = []
    problems: list[Problem] = []
    for path in find_files(paths):
        try:
            files.append(_named_from_here(read_file(path)))
        except RuleError as error:
            problems.append(Problem("error", _from_here(error.path), error.line, error.column, error.message))
    return files, problems


def _empty(file: RuleFile) -> Problem:
    return Problem("warning", file.path, 1, 1, "no rule in it")


def _print_problems(page: Page, files: int, problems: list[Problem]) -> None:
    for problem in problems:
        page.line(plain(str(problem)), {"error": "red", "warning": "yellow"}.get(problem.severity, "dim"))
    counts = [
        count(sum(problem.severity == severity for problem in problems), severity)
        for severity in ("error", "warning", "note")
    ]
    page.line(f"{count(files, 'file')}: {', '.join(counts)}")


def test(page: Page, paths: list[Path], *, builtin: bool, as_json: bool) -> tuple[int, dict[str, Any]]:
    """Run the tests inside rules, and print the failures; gives the exit code and the outcome as JSON types."""
    loaded, errors = load_all(read(paths, builtin=builtin))
    results: list[Result] = []
    if not errors:
        results = list(run(loaded, Memory))
    failures = [result.error for result in results if result.error]
    without = [
        one.document.error("fewer than one test to match and two to ignore", ["redshank"]) for one in untested(loaded)
    ]
    if not as_json:
        for error in [*errors, *failures]:
            page.line(plain(str(error)), "red")
        page.line(_outcome(loaded, results, failures, len(without)))
    record = {
        "passed": len(results) - len(failures),
        "failed": [_place(error) for error in failures],
        "errors": [_place(error) for error in errors],
        "untested": [_place(error) for error in without],
    }
    return FAILED if errors or failures else 0, record


def _kinds(loaded: list[Loaded]) -> str:
    """Count correlations and filters apart, where there are any."""
    counts = Counter(map(kind, loaded))
    said = [count(counts[one], one) for one in ("rule", "correlation", "filter") if counts[one]]
    return f" ({', '.join(said)})" if set(counts) - {"rule"} else ""


def _outcome(loaded: list[Loaded], results: list[Result], failures: list[RuleError], without: int) -> str:
    passed = count(len(results) - len(failures), "test")
    said = f"{count(len(loaded), 'rule')}: {passed} passed, {len(failures)} failed{_kinds(loaded)}"
    return f"{said}; {count(without, 'rule')} with too few tests" if without else said


def _place(error: RuleError) -> dict[str, Any]:
    return {"path": error.path, "line": error.line, "column": error.column, "message": error.message}
