"""Bytes to events: audit logs in every wrapping they are met in.

`read` takes a binary stream, `decode` one document, `decode_event` one event; `decompress` goes before `read`. Nothing
here raises for what a record holds: each becomes an event, a `Rejected`, or is counted as skipped.
"""

from __future__ import annotations

from detector.formats.batch import RECORD_LIMIT, Batch, Rejected
from detector.formats.compression import decompress
from detector.formats.native import decode_event
from detector.formats.reader import read
from detector.formats.unwrap import decode, decode_batch

__all__ = ["RECORD_LIMIT", "Batch", "Rejected", "decode", "decode_batch", "decode_event", "decompress", "read"]
