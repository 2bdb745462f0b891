"""What the stream teaches about a cluster: bounded, in the snapshot, and given to rules as facts (`memory.*` fields).

One file per subject. A subject learns from requests that succeeded and were no dry runs; from a request whose bodies
the record lacks it learns that it knows less. Facts are of the state before the event.
"""

from __future__ import annotations

from detector.memory.memory import Memory

__all__ = ["Memory"]
