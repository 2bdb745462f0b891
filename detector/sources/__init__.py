"""Where records come from. A source gives batches and knows nothing of what is done with them."""

from __future__ import annotations

from detector.sources.files import FileSource

__all__ = ["FileSource"]
