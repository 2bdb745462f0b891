"""The documentation says what is so: commands run, links lead somewhere, generated pages are fresh."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.cli.running import ROOT, redshank

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("sample_logs/*.md")])
OF_THE_USER = ("/var/log/", "eks.json", "EVENT", "RULE", "audit.log")
"""Texts in commands that need files of the user, or stand for something."""
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNING = (["serve"], ["doctor"])
"""Commands that run, or want, a daemon: tests/e2e/ runs these."""
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TEST = re.compile(r"`(?:[\w/]*?(test_\w+\.py)::)?(test_\w+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def fences(page: Path, language: str) -> list[str]:
    """Give the blocks of one language on a page."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def commands() -> Iterator[tuple[str, str]]:
    """Give each command of the README that can be run here, and what the README says it prints ("" for nothing)."""
    for block in fences(ROOT / "README.md", "console"):
        for part in re.split(r"^(?=\$ |redshank |make )", block, flags=re.MULTILINE):
            command, _, printed = part.removeprefix("$ ").partition("\n")
            known = not any(word in command for word in OF_THE_USER) and command.split()[1:2] not in RUNNING
            if command.startswith("redshank ") and known:
                yield command, printed


def masked(text: str) -> str:
    """Give a text without its numbers and without what stands in brackets: both change with every new rule."""
    return re.sub(r"\d[\d,]*", "N", re.sub(r"\([^)]*\)", "()", text))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a folder that looks like the repository and may be written to."""
    for name in ("docs", "rules", "sample_logs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize(("command", "printed"), list(commands()), ids=[command for command, _ in commands()])
def test_a_command_of_the_readme_does_what_it_says(
    command: str, printed: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone)
    words = shlex.split(command, comments=True)
    if ">" in words:
        words = words[: words.index(">")]
    done = redshank(*words[1:])
    assert done.returncode == 0, done.stderr
    assert masked(printed.strip()) in masked(done.stdout + done.stderr)


def test_the_readme_shows_commands() -> None:
    shown = [command.split()[1] for command, _ in commands()]
    assert shown.count("replay") >= 2
    assert shown.count("rules") >= 3


def test_the_make_targets_of_the_readme_exist() -> None:
    named = re.findall(r"\bmake ([a-z]+)\b", "\n".join(fences(ROOT / "README.md", "console")))
    makefile = (ROOT / "Makefile").read_text()
    assert named
    assert all(f"\n{name}:" in makefile for name in named)


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings as GitHub makes them."""
    titles = _HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_tests_that_pages_name_exist(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"`((?:detector|tests|docs|rules|sample_logs)/[\w/.-]*\w\.\w+)`", text):
        assert (ROOT / path).exists(), path
    sources = {source: source.read_text() for source in (ROOT / "tests").rglob("test_*.py")}
    names = {source.name for source in sources}
    for file, name in _TEST.findall(text):
        assert not file or file in names, file
        assert any(f"def {name}(" in source for source in sources.values()), name


@pytest.mark.parametrize("page", ["fields", "coverage"])
def test_generated_pages_are_fresh(page: str) -> None:
    done = redshank("rules", page, "--markdown")
    assert done.returncode == 0
    assert (ROOT / f"docs/{page}.md").read_text() == done.stdout, "stale: run make docs"


def test_the_page_of_metrics_is_fresh() -> None:
    made = subprocess.run([sys.executable, ROOT / "docs/metrics.py"], capture_output=True, check=True, text=True)
    assert (ROOT / "docs/metrics.md").read_text() == made.stdout, "stale: run make docs"


def test_the_rules_shown_are_those_of_the_examples() -> None:
    shown = [yaml.safe_load(block) for block in fences(ROOT / "README.md", "yaml")]
    examples = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "docs/examples").glob("*.yml"))]
    assert shown
    for one in shown:
        assert any(one.items() <= example.items() for example in examples)


@pytest.mark.parametrize("page", ["README.md", "docs/embedding.md"])
def test_python_of_the_pages_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = b"".join((ROOT / "docs/examples/event.json").read_bytes().split(b"\n"))
    (tmp_path / "audit.log").write_bytes(event + b"\n")
    monkeypatch.chdir(tmp_path)
    blocks = fences(ROOT / page, "python")
    assert blocks
    with ExitStack() as opened:
        for block in blocks:
            names = {"open": lambda path, mode: opened.enter_context(Path(path).open(mode))}
            exec(compile(block, page, "exec"), names)  # noqa: S102


def test_architecture_begins_with_the_path_of_the_data() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert text.startswith(
        "`bytes → decode → journal → fold (time, duplicates → detect → suppress, group) → Alert → outbox → sink`\n"
    )
    assert text.count("\n") < 200


def test_the_picture_is_drawn_by_make_docs() -> None:
    assert "docs/picture.py" in (ROOT / "Makefile").read_text()
    compile((ROOT / "docs/picture.py").read_text(), "picture.py", "exec")
