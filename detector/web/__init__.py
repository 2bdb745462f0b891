"""What the daemon shows of itself: ``/healthz``, ``/readyz``, ``/metrics``, and ``/api`` for people and for the CLI."""

from __future__ import annotations

from detector.web.backend import Backend, Heard, Redelivery, Status
from detector.web.server import Web

__all__ = ["Backend", "Heard", "Redelivery", "Status", "Web"]
