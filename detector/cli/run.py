"""Running a command, and what its end means: exit codes and the one line on stderr.

0 fine, 1 findings (``--fail-on``), 2 unusable input or rules, or output that cannot be written, 3 wrong flags or
settings, 70 a bug, 130 interrupted, 141 the reader of stdout went away.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

import typer

from detector.cli import INTERRUPTED
from detector.cli.app import app
from detector.encodings.plain import plain
from detector.errors import RedshankError

UNUSABLE, USAGE, BUG = 2, 3, 70
_ClickError: type = typer.BadParameter.__mro__[2]
"""click's ClickException; newer versions of typer bring a copy of click along."""


def run(arguments: list[str]) -> int:
    """Run one command line; gives the exit code."""
    try:
        code = app(args=arguments, prog_name="redshank", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer makes this of KeyboardInterrupt, and so does a replay that told what it found
            return _interrupted()
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, SystemExit):  # typer exits by itself when a pipe breaks
        return _broken_pipe()
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except RedshankError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _unwritten(error)
    except Exception as error:
        if isinstance(error, _ClickError):
            return _usage(error)
        return _bug(error)


def _failed(message: str, code: int) -> int:
    print(f"redshank: error: {plain(message)}", file=sys.stderr)  # noqa: T201
    return code


def _usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "redshank"
    message = getattr(error, "format_message", error.__str__)()
    if not message:  # a bare `redshank`: typer has printed the help
        return USAGE
    return _failed(f"{message} (see: {path} --help)", USAGE)


def _interrupted() -> int:
    print("redshank: interrupted", file=sys.stderr)  # noqa: T201
    return INTERRUPTED


def _unwritten(error: OSError) -> int:
    """The disk is full or the like: say so, and nothing more when Python flushes at its end."""
    _leave_stdout()
    where = f"{error.filename}: " if error.filename else "cannot write to standard output: "
    return _failed(f"{where}{error.strerror or error}", UNUSABLE)


def _broken_pipe() -> int:
    """The reader has seen enough: be silent."""
    _leave_stdout()
    return 128 + signal.SIGPIPE


def _leave_stdout() -> None:
    """What is still to be flushed goes nowhere, without an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bug(error: Exception) -> int:
    if os.environ.get("REDSHANK_DEBUG") == "1":
        traceback.print_exc()
    hint = "this is a bug, please report it; REDSHANK_DEBUG=1 shows where it happened"
    return _failed(f"{type(error).__name__}: {error} ({hint})", BUG)
