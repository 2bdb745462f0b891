"""What the daemon shows of itself: ``/healthz``, ``/readyz``, ``/metrics``, and ``/api`` for people and for the CLI."""

from __future__ import annotations

from detector.web.api import Api
from detector.web.backend import Backend, Heard, Probed, Redelivery, Status
from detector.web.server import Web

__all__ = ["Api", "Backend", "Heard", "Probed", "Redelivery", "Status", "Web"]
