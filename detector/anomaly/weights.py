"""What counts of the bits of a feature: what tells of one thing does not add up, and some actors act for others."""

from __future__ import annotations

LOCATION = ("address", "network", "credential")
_USUAL = 6.0
"""Bits of location and client above which nobody is believed to act for others."""
_ACTING = {"controller": (0.3, 0.0), "node": (1.0, 0.25)}
"""What their own doing weighs, and what the place and content of it weigh."""
_MORE = 0.5
"""What the less unusual of several that tell of one thing weigh."""
_CONTENT = 0.5


def acting(kind: str, odd: float, young: float) -> tuple[float, float]:
    """Give what an actor's doing weighs, and the place and content of it.

    Controllers and nodes carry out what others asked for, as long as they are where they always are.

    :param odd: the bits of location and client.
    :param young: a factor for what others have just begun.
    """
    own, acted = _ACTING.get(kind, (1.0, 1.0)) if odd < _USUAL else (1.0, 1.0)
    return own * young, acted * young


def location_shares(bits: dict[str, float]) -> dict[str, float]:
    """Give what each feature of location weighs: the most unusual one whole."""
    found = {name: _MORE for name in LOCATION if name in bits}
    most = max(found, key=lambda name: (bits[name], name))
    found[most] = 1.0
    return found


def content_shares(found: list[tuple[str, str, float]]) -> list[tuple[str, str, float]]:
    """Weigh what is unusual of the content, the most unusual first."""
    found.sort(key=lambda part: -part[2])
    return [
        (name, value, bits * _CONTENT * (_MORE if place else 1.0)) for place, (name, value, bits) in enumerate(found)
    ]
