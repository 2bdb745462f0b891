"""Ctrl-C at any moment of the real command: one line, 130, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, ROOT, environment, redshank

SCRIPT = [sys.executable, "-c", "from detector.cli import main; main()"]
"""What the script that pip installs does."""


@pytest.mark.parametrize("command", [COMMAND, SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["signal", "typer", "detector.event", "yaml", "sigma.rule", "detector.sigma.load"])
def test_ctrl_c_while_modules_are_imported_is_no_traceback(
    command: list[str], sent: signal.Signals, after: str
) -> None:
    """The interpreter tells each module that it has imported, so that the moment is known."""
    if after == "signal":
        sent = signal.SIGINT  # SIGTERM kills until there is a handler
    with subprocess.Popen(
        [*command, "rules", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPROFILEIMPORTTIME="1"),
    ) as process:
        assert process.stderr
        imported = next(line for line in process.stderr if line.split("|")[-1].strip() == after)
        process.send_signal(sent)
        rest = [line for line in process.stderr if not line.startswith("import time:")]
    assert imported
    assert (process.returncode, rest) == (130, ["redshank: interrupted\n"])


@pytest.mark.parametrize("module", ["typer", "msgspec", "yaml", "pydantic", "re2"])
def test_ctrl_c_inside_an_import_is_no_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(
        "import os, signal\nclass Odd:\n    def __set_name__(self, owner, name):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\nclass Owner:\n    odd = Odd()\n"
    )
    done = redshank("rules", "list", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (done.returncode, done.stderr) == (130, "redshank: interrupted\n")
