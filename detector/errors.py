"""The exceptions redshank raises on purpose.

::

    RedshankError            anything a person can act on; the command line prints it without a traceback
    ├── InputError           an input cannot be opened or yields no event            (exit code 2)
    ├── RuleError            a rule, filter or correlation cannot be used            (exit code 2)
    ├── ConfigError          a setting is wrong                                      (exit code 3)
    ├── SnapshotError        stored state is damaged or of an unknown version        (exit code 2)
    ├── StoreError           the data directory cannot be used as it is              (exit code 2)
    │   ├── InUseError       another process has it                              (exit code 2)
    │   └── StoreFullError   there is no room now; the same call works again later   (exit code 2)
    └── RejectedError        one record is not an audit event; costs that record only
"""

from __future__ import annotations


class RedshankError(Exception):
    """Base class: the message says what is wrong and what to do."""

    exit_code = 2


class InputError(RedshankError):
    """A path cannot be opened, or holds no audit event at all."""


class RuleError(RedshankError):
    """A rule cannot be used.

    ``path``, ``line`` and ``column`` (1-based, 0 = unknown) say where.
    """

    def __init__(self, message: str, path: str = "", line: int = 0, column: int = 0) -> None:
        self.message, self.path, self.line, self.column = message, path, line, column
        super().__init__(self.located())

    def located(self) -> str:
        """Give the message as ``file:line:column: message``."""
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place}: {self.message}" if place else self.message


class ConfigError(RedshankError):
    """A setting or a flag is wrong."""

    exit_code = 3


class SnapshotError(RedshankError):
    """A snapshot is damaged, or was written by an unknown version."""


class StoreError(RedshankError):
    """A database of the data directory is damaged, read-only, in use, or of an unknown version."""


class InUseError(StoreError):
    """Another process holds the data directory."""


class StoreFullError(StoreError):
    """The disk or the journal is full, or the disk is too slow: nothing was written; try again later."""


class RejectedError(RedshankError):
    """One record is not an audit event; ``args[0]`` is the reason."""
