"""The starter: how high scores climb in an ordinary day elsewhere, for a threshold from the first event on.

It lies in ``models/starter.json``; ``models/MODEL_CARD.md`` says how it came to be, and why it holds no habits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from detector.anomaly.model import Model

VERSION = 1
DAYS = 0.1
"""What it counts as, in days: the first ones of the cluster itself outweigh it."""


def shipped() -> Path:
    """Give the place of the starter: inside the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_data" / "models" / "starter.json"
    return inside if inside.exists() else package.parent / "models" / "starter.json"


def starter(path: Path | None = None) -> dict[str, Any]:
    """Read a starter. ValueError when it is of another version."""
    path = path or shipped()
    prior: dict[str, Any] = orjson.loads(path.read_bytes())
    if prior.get("version") != VERSION:
        raise ValueError(f"{path}: a starter of version {prior.get('version')}; this redshank reads version {VERSION}")
    return prior


def begin(model: Model, prior: dict[str, Any]) -> None:
    """Let a model that knows nothing begin with a starter."""
    model.calibration.begin_with([count * DAYS for count in prior["tail"]], DAYS)


def extract(models: list[Model]) -> dict[str, Any]:
    """Make a starter of what several models have learnt, each of a cluster of its own: the average of a day."""
    days = sum(model.calibration.days for model in models)
    columns = zip(*(model.calibration.counts for model in models), strict=True)
    return {"version": VERSION, "tail": [round(sum(column) / days, 2) for column in columns]}
