"""Sockets to listen on."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Any

from detector.errors import ConfigError
from detector.listen.settings import Address


def bound_local(path: Path) -> socket.socket:
    """Give a Unix socket that only our own user may open. One left behind by a killed process is replaced.

    :raises ConfigError: the path cannot be made, or is too long for a socket.
    """
    if path.is_socket():
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), 0o600)  # on Linux the path is born with these rights
        sock.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        sock.close()
        raise ConfigError(f"cannot make the socket {path}: {error}; choose a shorter or writable path") from None
    return sock


async def bound(address: Address) -> list[socket.socket]:
    """Give sockets bound to every address a host stands for.

    :raises ConfigError: one of them is taken, or none of them is ours.
    """
    found = await _looked_up(address)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, where in found[:1] if address.port == 0 else found:
        try:
            sockets.append(_bind(socket.socket(family, kind, protocol), where))
        except OSError as error:
            missing = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                break
    else:
        # A machine without IPv6 still knows ::1 by name: one of several is enough.
        missing = missing if not sockets else None
    if missing is not None:
        for sock in sockets:
            sock.close()
        raise ConfigError(f"cannot listen on {address}: {os.strerror(missing.errno or 0)}; choose another address")
    return sockets


async def _looked_up(address: Address) -> list[Any]:
    try:
        return await asyncio.get_running_loop().getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {error.strerror}; give an address of this machine") from None


def _bind(sock: socket.socket, where: Any) -> socket.socket:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
    except OSError:
        sock.close()
        raise
    return sock
