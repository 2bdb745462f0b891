"""The command line. One file per group of commands, and no logic: what a command does lies in the rooms below."""

from __future__ import annotations

INTERRUPTED = 130
MESSAGE = b"redshank: interrupted\n"


def main() -> None:
    """Run ``redshank`` and exit with its code.

    Ctrl-C (or SIGTERM) ends it at once, with one line and `INTERRUPTED`; a command that has something to put in order
    first sets a handler of its own. Nothing is raised for it: a KeyboardInterrupt in the middle of an import may come
    out as any other exception.
    """
    try:
        import signal
        import sys

        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, _quit)
        from detector.cli.run import run

        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(code)
    except KeyboardInterrupt:
        _quit()


def _quit(*signal_and_frame: object) -> None:
    import os

    try:
        os.write(2, MESSAGE)
    finally:
        os._exit(INTERRUPTED)
