"""The wiring: bytes → decode → fold → findings and alerts; and `Detector`, the embedding API.

The command line, the tests and other programs all come through here::

    from detector import Detector

    detector = Detector.load()
    for line in open("audit.jsonl", "rb"):
        for finding in detector.feed(line):
            print(finding.level.name, finding.title, finding.actor, *finding.reasons)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from detector.cluster import Changes
from detector.counters import Counters
from detector.errors import ConfigError
from detector.finding import Alert, Finding
from detector.fold import Fold
from detector.formats import Batch, decode_batch, read
from detector.record import Control, Record, Rules
from detector.redaction import Redaction
from detector.sigma.rule import pack_names
from detector.sigma.source import RuleFile, read_files
from detector.watermark import Watermark


def builtin_rules() -> Path:
    """Give the folder of the rules that ship with redshank."""
    installed = Path(str(files("detector"))) / "_data" / "rules"
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "rules"


def rule_files(paths: Iterable[Path] = (), *, builtin: bool = True) -> list[RuleFile]:
    """Read the built-in rules and those under ``paths``. Raises RuleError."""
    return read_files([*([builtin_rules()] if builtin else []), *paths])


class Detector:
    """A fold with its rules: give it events, get findings. State lives inside; nothing is read or written elsewhere."""

    def __init__(self, fold: Fold, redaction: Redaction | None = None) -> None:
        self.fold, self.redaction = fold, redaction or Redaction()

    @classmethod
    def load(
        cls,
        config: object = None,
        packs: str | Iterable[str] = "core",
        model: bool = True,
        rules: Iterable[RuleFile] | None = None,
        redact: Iterable[str] = (),
    ) -> Detector:
        """Make a detector with the built-in rules of ``packs`` (a name, names with commas, or a list of names).

        ``rules`` replaces the built-in rules. ``config`` and ``model`` are part of the stable signature: there are no
        settings and no model yet, so they change nothing. ``redact`` names what is blanked beside the known carriers of
        secrets, such as ``requestObject.data.*``. Raises RuleError when a rule cannot be used, ConfigError when there
        is no such pack, or no such path.
        """
        del config, model
        names = pack_names(packs)
        chosen = rule_files() if rules is None else rules
        try:
            redaction = Redaction(tuple(redact))
        except ValueError as error:
            raise ConfigError(f"nothing to blank: {error}") from None
        detector = cls(Fold(), redaction)
        detector.append(Rules(tuple(chosen), names))
        return detector

    def feed(self, raw: bytes) -> list[Finding]:
        """Take in one audit event as JSON (or a document of several, or several lines); gives the findings.

        Nothing is raised for what the bytes hold: what is no audit event is counted in ``fold.stats().rejected``.
        """
        batches = read(BytesIO(raw)) if b"\n" in raw.strip() else [decode_batch(raw)]
        found = [finding for batch in batches for finding in self.append(batch).findings]
        return [finding for finding in found if not finding.continues]

    def append(self, body: Batch | Control) -> Changes:
        """Fold one more record, secrets blanked first. Raises RuleError for rules that cannot be used."""
        if isinstance(body, Batch):
            self.redaction.blank(body.events)
        changes = self.fold.fold(Record(self.fold.offset + 1, body))
        if changes.refused:
            raise changes.refused
        return changes

    def finish(self) -> list[Alert]:
        """Close all alerts, as at the end of an archive."""
        return self.fold.finish()


def replay(detector: Detector, source: Iterable[Batch | Record]) -> Iterator[tuple[Batch, list[Alert]]]:
    """Send archived batches, or the records of a journal, through a detector, and close all alerts at the end.

    Gives each batch with the alert revisions it led to, and an empty batch with those of the end, so that nothing has
    to be kept here: the last revision of every alert says ``closed``.
    """
    for one in source:
        if isinstance(one, Record):
            yield one.body if isinstance(one.body, Batch) else Batch(), detector.fold.fold(one).alerts
        else:
            yield one, detector.append(one).alerts
    yield Batch(), detector.finish()


def within(
    source: Iterable[Batch], since: int | None, until: int | None, left: Callable[[int], None]
) -> Iterable[Batch]:
    """Keep the events from ``since`` up to, but not including, ``until`` (microseconds), and those without a time.

    ``left`` hears how many of a batch were left out.
    """
    first, end = since if since is not None else 0, until if until is not None else 1 << 63
    for batch in source:
        kept = [event for event in batch.events if (time := event.time) is None or first <= time < end]
        left(len(batch.events) - len(kept))
        batch.events = kept
        yield batch


def newest(source: Iterable[Batch]) -> int:
    """Give the time of the newest event (microseconds, 0 when there is none); a stray one is not believed."""
    watermark = Watermark(Counters())
    for batch in source:
        for event in batch.events:
            watermark.time_of(event, None)
    return watermark.now
