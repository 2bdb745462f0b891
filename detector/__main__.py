"""``python -m detector`` is ``redshank``."""

from __future__ import annotations

from detector.cli import main

if __name__ == "__main__":
    main()
