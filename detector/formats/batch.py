"""What decoding gives: events, what was refused and why, and how much was passed over."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from detector.event import Event

TOO_LARGE = "over the size limit"

CROWD = 100
"""Bad records of one document that are told apart."""
RECORD_LIMIT = 64 << 20
"""Bytes one record may have. An API server writes a few MiB at most; 10 MB list answers have been seen."""

SECONDHAND_LIMIT = 256 << 20
"""Bytes of text that wrappings inside one document may yield in all (nested strings, base64, gzip)."""


class Rejected(msgspec.Struct):
    """A record that is no audit event. Its content is not kept: an unparsable body may hold secrets."""

    reason: str
    length: int
    """Bytes of the record."""
    sha256: str
    """Hex digest of the record, to find it again in the original."""
    position: int | None = None
    """Byte in the record where reading failed, when the parser says so."""
    line: int | None = None
    """Line of the stream the record begins on, from 1."""
    count: int = 1
    """Records it stands for: of a crowd of bad ones in one document only the first are told apart."""


class Batch(msgspec.Struct):
    """Some records of one stream, in its order."""

    events: list[Event] = msgspec.field(default_factory=list)
    rejected: list[Rejected] = msgspec.field(default_factory=list)
    skipped: int = 0
    """Records that are known and carry no audit event: control messages, other log categories, empty lists."""
    path: str = ""
    """Where it comes from; empty where several files are merged or a stream has no name."""
    secondhand: int = 0
    """Bytes that wrappings have yielded for the document being decoded (against `SECONDHAND_LIMIT`)."""

    def reject(self, reason: str, record: bytes, position: int | None = None) -> None:
        """Note a refused record."""
        self.rejected.append(Rejected(reason, len(record), sha256(record).hexdigest(), position))

    def crowd(self, before: int) -> None:
        """Let the newest refused record be counted with the one before, when there are `CROWD` since ``before``."""
        if len(self.rejected) - before > CROWD:
            self.rejected[-2].count += self.rejected.pop().count

    @property
    def refused(self) -> int:
        """Refused records."""
        return sum(one.count for one in self.rejected)

    def __bool__(self) -> bool:
        """Tell whether it holds anything."""
        return bool(self.events or self.rejected or self.skipped)
