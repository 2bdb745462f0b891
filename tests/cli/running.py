"""Running the real command, and logs for it to read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support import raw, rule

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "detector"]
HOSTILE = "eve\x1b]0;owned\x07\x1b[31m\u202egnp.exe\u2028[bold red]x[/]\x9b2J"


def environment(**more: str) -> dict[str, str]:
    """Give a clean environment, 80 columns wide."""
    kept = {
        name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "COVERAGE_PROCESS_START"}
    }
    return {**kept, "COLUMNS": "80", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "TERM": "xterm-256color", **more}


def redshank(*arguments: str | Path, stdin: bytes | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``redshank`` to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        env=environment(**more),
        check=False,
        timeout=60,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def secret_read(number: int, **attributes: Any) -> bytes:
    """Give one audit event that the rule of `rules_at` holds of."""
    where = {"objectRef": {"resource": "secrets", "namespace": "shop", "name": f"db-{number}"}}
    return raw(number, at=number, **{**where, **attributes})


def log_at(folder: Path, *events: bytes, name: str = "audit.jsonl") -> Path:
    """Write a log of JSON lines."""
    path = folder / name
    path.write_bytes(b"".join(event + b"\n" for event in events))
    return path


def rules_at(folder: Path, *rules: dict[str, Any], name: str = "rules.yml") -> Path:
    """Write a rule file; without rules one of level high that holds for every secret that is read."""
    path = folder / name
    written = rules or (rule("Secret read", id="7d9d2f62-6a38-4bb0-8a5e-0f6c9bd4b1a0", level="high", **WORDS),)
    path.write_text(yaml.safe_dump_all(written, sort_keys=False))
    return path


WORDS: dict[str, Any] = {
    "description": "Somebody read a secret.",
    "tags": ["attack.credential-access", "attack.t1552.007"],
    "falsepositives": ["Everyday work."],
    "redshank": {"message": "{actor} read {target}", "runbook": ["Ask them.", "Rotate it."], "guide": "Secrets"},
}
