"""The command line. One file per group of commands, and no logic: what a command does lies in the rooms below."""

from __future__ import annotations


def main() -> None:
    """Run ``redshank`` and exit with its code."""
    import sys

    from detector.cli.run import run

    sys.exit(run(sys.argv[1:]))
