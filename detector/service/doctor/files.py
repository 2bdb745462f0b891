"""What can be seen without a daemon: certificates, the disk, the rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from detector.config import Settings
from detector.errors import RuleError, StoreError
from detector.event import DAY, EPOCH, MICROSECOND
from detector.report.doctor import Check, broken, ok, warning
from detector.report.words import count, duration, size
from detector.service.configuration import digest_of, loaded
from detector.sinks.settings import TEST_RULE
from detector.store.directory import Layout
from detector.store.journal import RESERVE
from detector.store.reader import JournalReader

SOON = timedelta(days=14)
"""A certificate that ends earlier is warned of."""
ENOUGH = DAY // 24
"""Microseconds of journal from which its rate can be told."""
RENEW = "renew it (redshank init kube-apiserver --force does, for trial certificates); no restart is needed"


def certificates(settings: Settings, now: int) -> Iterator[Check]:
    """Look at every certificate that the settings name."""
    for part, path, several in _certificates(settings):
        yield _certificate(f"certificate of {part}", path, EPOCH + now * MICROSECOND, several=several)


def _certificates(settings: Settings) -> Iterator[tuple[str, Path, bool]]:
    """Give what each is for, its file, and whether one of several in it is enough."""
    for part, tls in (("webhook", settings.webhook.tls), ("web", settings.web.tls)):
        if tls is not None:
            yield part, tls.cert, False
        if tls is not None and tls.client_ca is not None:
            yield f"the clients of {part}", tls.client_ca, True
    for sink in settings.sinks:
        ours = getattr(getattr(sink, "tls", None), "cert_file", None)
        if ours is not None:
            yield f"sink {sink.name}", ours, False


def _certificate(part: str, path: Path, now: datetime, *, several: bool) -> Check:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "holds no certificate that can be read"
        return broken(part, f"{path}: {reason}", "put a PEM file there")
    begin = min(one.not_valid_before_utc for one in found)
    end = (max if several else min)(one.not_valid_after_utc for one in found)
    if begin > now:
        return broken(part, f"{path}: not valid before {begin:%Y-%m-%d %H:%M} UTC", "see whether this clock is right")
    if end <= now:
        return broken(part, f"{path}: expired on {end:%Y-%m-%d}", RENEW)
    said = f"{path}: valid until {end:%Y-%m-%d}"
    if end - now < SOON:
        return warning(part, f"{said}, {count((end - now).days, 'day')} from now", RENEW)
    return ok(part, said)


def disk(settings: Settings, now: int) -> Check:
    """Look whether the journal can keep what it is to keep, at the rate at which it fills."""
    path, keep = Layout(settings.data_dir).journal, settings.store.journal_keep // MICROSECOND
    try:
        room = os.statvfs(settings.data_dir)
        used, oldest = _journal(path)
    except (OSError, StoreError) as error:
        return broken("disk", str(error), "see redshank db check")
    span = now - (oldest or now)
    free = room.f_bavail * room.f_frsize
    if free < RESERVE:
        return broken("disk", f"{size(free)} are free: nothing more is taken in", f"free at least {size(RESERVE)}")
    said = f"the journal uses {size(used)}, {size(free)} are free"
    if span < ENOUGH:
        return ok("disk", f"{said}; it is too young to tell how long it lasts")
    return _lasting(said, used * DAY // span, keep, settings.store.journal_limit, used + free - RESERVE)


def _lasting(said: str, daily: int, keep: int, limit: int, disk: int) -> Check:
    """Say how long the journal lasts: of what it may use, it fills three quarters. Sizes are in bytes."""
    lasts = min(limit, disk) * 3 // 4 * DAY // max(daily, 1)
    said = f"{said}; at {size(daily)} a day"
    if lasts >= keep:
        return ok("disk", f"{said} it keeps all {duration(keep)} of store.journal_keep")
    wanted = size(daily * keep // DAY * 4 / 3)
    todo = f"set store.journal_limit to {wanted}" if limit <= disk else f"give it {wanted} of disk"
    return warning("disk", f"{said} it keeps {duration(lasts)} of {duration(keep)}", f"{todo}, or keep less")


def _journal(path: Path) -> tuple[int, int | None]:
    """Give the bytes it uses, and when its oldest entry was received."""
    reader = JournalReader(path)
    try:
        return reader.used, reader.received_after(-1)
    finally:
        reader.close()


def rules(settings: Settings, running: str | None) -> tuple[Check, bool]:
    """Read the rules; ``running`` is the digest of those in force. Gives whether the rule of the test is among them."""
    try:
        found, ready = loaded(settings.rules)
    except RuleError as error:
        return broken("rules", str(error), "repair it; until then the daemon goes on with the rules it has"), True
    infos = ready.infos()
    said, tested = f"{count(len(infos), 'rule')} of {', '.join(found.packs)}", TEST_RULE in {one.id for one in infos}
    if running is not None and running != digest_of(found):
        todo = "try again in some seconds; if it stays like this, the daemon's log says why"
        return warning("rules", f"{said}; the daemon runs others", todo), tested
    return ok("rules", said), tested
