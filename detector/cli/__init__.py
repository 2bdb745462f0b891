"""The command line. One file per group of commands, and no logic: what a command does lies in the rooms below."""

from __future__ import annotations


def main() -> None:
    """Run ``redshank`` and exit with its code."""
    import signal
    import sys

    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        from detector.cli.run import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were being imported
        sys.stderr.write("redshank: interrupted\n")
        code = 128 + signal.SIGINT
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
