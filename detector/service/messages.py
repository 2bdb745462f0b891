"""What the daemon and its fold process say to each other: msgpack, each behind its length (8 bytes, big-endian)."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from detector.alerts.suppress import Lift, Suppression
from detector.counters import Counters
from detector.finding import Alert, Verdict

LENGTH = 8
LARGEST = (1 << 32) - 1
"""Bytes of a snapshot in a message: msgpack gives a length four bytes."""


class Begin(msgspec.Struct, tag=True, frozen=True):
    """To the fold, once: where the journal is, the state to go on from, and up to where alerts are stored already."""

    journal: str
    snapshot: bytes | None
    emitted: int
    every: float
    """Seconds between two snapshots."""
    careful: int = -1
    """After this offset it is to go one by one for a while: what comes there may have ended the process before."""


class More(msgspec.Struct, tag=True, frozen=True):
    """To the fold: the journal has grown."""


class Save(msgspec.Struct, tag=True, frozen=True):
    """To the fold: give a snapshot soon, the journal needs room."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """To the fold: fold what there is, give a snapshot, and end."""


class Told(msgspec.Struct, tag=True, frozen=True):
    """From the fold: what the records up to an offset changed. In order, and before any snapshot that includes it."""

    offset: int
    alerts: tuple[Alert, ...] = ()
    """With the rest: only what changed after ``Begin.emitted``; the worker sees to that, and nobody after it."""
    decided: tuple[Verdict | Suppression | Lift, ...] = ()
    failed: tuple[tuple[str, str, str], ...] = ()
    """Events on which something of ours raised: cluster, fingerprint, what was raised."""
    refused: tuple[str, ...] = ()
    """Why rules were not taken over."""
    counters: dict[str, Counters] = {}
    """By cluster."""
    sizes: dict[str, dict[str, int]] = {}
    """By cluster: entries in the maps of its state."""
    rules: int = 0
    """Rules and correlations in force."""
    silenced: dict[str, int] = {}
    """By id of a suppression in force: how many findings it has silenced."""


class Saved(msgspec.Struct, tag=True, frozen=True):
    """From the fold: its whole state after an offset."""

    offset: int
    snapshot: bytes


class Unsaved(msgspec.Struct, tag=True, frozen=True):
    """From the fold: its state after an offset is of so many bytes, more than `LARGEST`."""

    offset: int
    size: int


class Trying(msgspec.Struct, tag=True, frozen=True):
    """From the fold, where it goes one by one: it is about to fold the entry at an offset."""

    offset: int


class Ready(msgspec.Struct, tag=True, frozen=True):
    """From the fold, once: it has its state, and begins after ``offset``."""

    offset: int
    unusable: tuple[str, ...] = ()


ToFold = Begin | More | Save | Stop
FromFold = Ready | Trying | Told | Saved | Unsaved

_to_fold = msgspec.msgpack.Decoder(ToFold).decode
_from_fold = msgspec.msgpack.Decoder(FromFold).decode
_encode = msgspec.msgpack.Encoder().encode


def pack(message: ToFold | FromFold) -> bytes:
    """Give a message with its length in front."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH, "big") + body


def receive(stream: BinaryIO) -> ToFold | None:
    """Read a message to the fold; None at the end of the stream."""
    head = stream.read(LENGTH)
    length = int.from_bytes(head, "big")
    body = stream.read(length) if len(head) == LENGTH else b""
    message: ToFold | None = _to_fold(body) if length and len(body) == length else None
    return message


def from_fold(body: bytes) -> FromFold:
    """Read the body of a message of the fold."""
    message: FromFold = _from_fold(body)
    return message
