"""Talking to a running daemon through the Unix socket in its data directory."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from detector.errors import ConfigError, RedshankError

SOCKET = "admin.sock"
"""The socket in the data directory."""
TIMEOUT = 30.0
OK = 300


class _Local(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._path))


class Client:
    """Asks the daemon that keeps its state in ``data_dir``."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / SOCKET

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Give the JSON answer. Raises ConfigError when no daemon is there, RedshankError with what the daemon says."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        connection = _Local(self.path)
        try:
            connection.request(
                method, f"{path}?{asked}" if asked else path, None if body is None else orjson.dumps(body)
            )
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConfigError(
                f"{self.path}: no daemon answers ({error}): start redshank serve, or name its --data-dir or --config"
            ) from None
        finally:
            connection.close()
        try:
            told = orjson.loads(answer)
        except orjson.JSONDecodeError:
            raise RedshankError(f"{self.path}: {response.status}: {answer[:200].decode(errors='replace')}") from None
        if response.status >= OK:
            raise RedshankError(str(told.get("error", response.status)))
        return told
