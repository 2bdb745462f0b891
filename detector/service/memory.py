"""How the two processes hold memory: they live on bodies of about a megabyte, of some thousand objects each."""

from __future__ import annotations

import gc

LARGE = 24 << 20
"""Bytes; glibc never takes more than 32 MiB as a hint."""
YOUNG = 10_000
"""Objects that may come before the garbage collector looks at them; Python's 700 would have it look at each batch
several times, though batches hold no cycles."""


def settle() -> None:
    """Say that what there is now will stay, and prepare for what comes and goes."""
    # mallopt(3): a block this large that is freed raises M_MMAP_THRESHOLD, and M_TRIM_THRESHOLD to twice that. From
    # then on the memory of a body serves the next one; else each would be given to the system and faulted in again.
    bytes(LARGE)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
