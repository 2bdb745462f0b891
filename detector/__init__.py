"""redshank: watches Kubernetes API audit logs and calls out what is wrong.

The stable embedding API is `Detector`, with `Finding` and `Level`.
"""

from __future__ import annotations

from detector.version import __version__

TYPE_CHECKING = False  # as in typing, which takes longer to import than all that is here
if TYPE_CHECKING:
    from detector.finding import Finding, Level
    from detector.pipeline import Detector

__all__ = ["Detector", "Finding", "Level", "__version__"]


def __getattr__(name: str) -> object:
    """Import the API only when it is asked for: ``import detector.event`` stays light."""
    if name == "Detector":
        from detector.pipeline import Detector

        return Detector
    if name in {"Finding", "Level"}:
        from detector import finding

        return getattr(finding, name)
    raise AttributeError(f"module 'detector' has no attribute {name!r}")
