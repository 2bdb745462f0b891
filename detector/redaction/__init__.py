"""Secrets stay home (law 5): what is known to carry a secret is blanked before an event is kept, judged or shown.

Carriers are Secret data, the tokens of TokenRequest and TokenReview, the last-applied annotation that repeats objects,
environment variables with telling names, whatever looks like a token anywhere in an event, and paths of the settings.
"""

from __future__ import annotations

from detector.redaction.redaction import Redaction, blank
from detector.redaction.tokens import BLANK, scrub, scrub_all

__all__ = ["BLANK", "Redaction", "blank", "scrub", "scrub_all"]
