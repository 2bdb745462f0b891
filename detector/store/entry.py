"""What the journal is made of: entries, and the tables they lie in."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from detector.store.migrate import Schema


class Kind(StrEnum):
    """What the body of an entry is."""

    batch = "batch"
    """Audit events as they came, their secrets blanked."""
    tick = "tick"
    """Nothing happened until ``received_at``."""
    control = "control"
    """What else can change an outcome: rules, a suppression, a verdict …"""
    passed_over = "passed over"
    """One of the others, of which the fold died time and again: it is no longer folded."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of the journal."""

    offset: int
    """From 0 on, without gaps; never used twice."""
    kind: str
    """One of `Kind`."""
    cluster: str
    received_at: int
    """Microseconds since 1970, by the clock of this machine."""
    events: int
    body: bytes


class Appended(msgspec.Struct, frozen=True, gc=False):
    """An entry is on the disk. ``resent``: it was there already, and nothing was written."""

    offset: int
    resent: bool = False


JOURNAL = Schema(
    name="journal",
    application_id=0x72736A6C,  # "rsjl"
    # A body of 400 events takes 50 kB compressed: few, large pages cost the least CPU.
    page_size=16_384,
    migrations=(
        (
            """CREATE TABLE entries (
                "offset" INTEGER PRIMARY KEY,
                kind TEXT NOT NULL,
                cluster TEXT NOT NULL,
                received_at INTEGER NOT NULL,
                events INTEGER NOT NULL,
                length INTEGER NOT NULL,
                body BLOB NOT NULL
            ) STRICT""",
            # Apart from the entries, which may be pruned before the time is over in which bodies are sent again.
            """CREATE TABLE digests (
                "offset" INTEGER PRIMARY KEY,
                received_at INTEGER NOT NULL,
                digest BLOB NOT NULL
            ) STRICT""",
        ),
    ),
)
"""``body`` is one zstd frame (RFC 8878) with a checksum, of ``length`` bytes when decompressed."""
