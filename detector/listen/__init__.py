"""Listening for HTTP: addresses, TLS, limits and time-outs. What is served is the business of others.

aiohttp reads requests and writes answers. What it leaves open is done here: it has no time limit for a head, no limit
on connections, and takes no new certificate while it runs.
"""

from __future__ import annotations

from detector.listen.connection import Connection, Drop, Observer, Unobserved
from detector.listen.listener import Listener
from detector.listen.settings import Address, ListenSettings, TLSSettings, TokenHash, hash_token, is_loopback
from detector.listen.tls import Certificates

__all__ = [
    "Address",
    "Certificates",
    "Connection",
    "Drop",
    "ListenSettings",
    "Listener",
    "Observer",
    "TLSSettings",
    "TokenHash",
    "Unobserved",
    "hash_token",
    "is_loopback",
]
