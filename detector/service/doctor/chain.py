"""The test: a marked batch on its way through webhook, journal, fold and outbox to every sink."""

from __future__ import annotations

import http.client
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from detector.config import Settings
from detector.errors import RedshankError
from detector.report.doctor import Check, broken, ok, warning
from detector.report.words import count
from detector.service.client import Client
from detector.service.doctor.daemon import SINK
from detector.service.doctor.post import Proof, StrangerError, certificate_in, post
from detector.service.marked import MARKS, URI, marked_body
from detector.sinks.settings import TEST_RULE

POLL = 0.1
"""Seconds between two questions."""
OK, REFUSED, LATER = 200, {401, 403}, {429, 503}


class Chain:
    """One test. Its links are looked at in their order; what comes after a broken one is not."""

    def __init__(self, settings: Settings, client: Client, cluster: str, *, proof: Proof, wait: float) -> None:
        self.settings, self.client, self.cluster = settings, client, cluster
        self.proof, self.wait = proof, wait
        self.audit_id = ""
        """Of the event, once it is in the journal."""
        self.alert = ""
        """The id of the alert, once there is one."""

    def checks(self, *, tested: bool, tell: Callable[[str], None]) -> Iterator[Check]:
        """Send the test; ``tested`` says whether its rule runs, and ``tell`` hears what is waited for."""
        mark = self._mark()
        if not mark:
            yield warning("webhook", "not tested: too many tests within ten minutes", "wait")
            return
        tell(f"posting a test batch of cluster {self.cluster}")
        yield from self._sent(mark)
        if self.audit_id:
            tell("waiting for its alert")
            yield from self._folded(tested=tested)
        if self.alert:
            tell("waiting for the sinks to take it")
            yield from self._delivered()

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.client.ask("GET", "/api/status")
        return status

    def _mark(self) -> str:
        """Choose one that no open alert has."""
        told = self.client.ask(
            "GET", "/api/alerts", rule=TEST_RULE, cluster=self.cluster, status="open", limit=len(MARKS)
        )
        used = {target.removeprefix(URI) for alert in told["alerts"] for target in alert["targets"]}
        free = [mark for mark in MARKS if mark not in used]
        return secrets.choice(free) if free else ""

    def _sent(self, mark: str) -> Iterator[Check]:
        url, audit_id = f"{self._status()['webhook']}/audit/{self.cluster}", str(uuid4())
        try:
            status, said = self._post(url, marked_body(mark, audit_id, time.time_ns() // 1000))
        except StrangerError as error:
            yield broken("webhook", str(error), "see who listens there, and settings above")
        except (OSError, http.client.HTTPException) as error:
            if self._wants_certificate(error):
                yield from self._injected(mark)
            else:
                yield broken("webhook", f"{url}: {error}", "see the daemon's log")
        else:
            if status in REFUSED and not self.proof.given:
                yield from self._injected(mark)
            else:
                yield from self._answered(url, status, said)
                self.audit_id = audit_id if status == OK else ""

    def _post(self, url: str, body: bytes) -> tuple[int, str]:
        tls = self.settings.webhook.tls
        try:
            expected = certificate_in(tls.cert) if tls is not None else None
        except (OSError, ValueError):
            expected = None
        return post(url, body, self.proof, expected, self.wait)

    def _wants_certificate(self, error: Exception) -> bool:
        """Tell whether a connection ended because we have no certificate to show."""
        ended = isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError | http.client.HTTPException)
        return ended and self.settings.webhook.certificate_required and self.proof.cert is None

    def _answered(self, url: str, status: int, said: str) -> Iterator[Check]:
        if status == OK:
            yield ok("webhook", f"{url} takes a batch")
            yield ok("journal", "the batch is on the disk")
        elif status in LATER:
            yield ok("webhook", f"{url} answers")
            yield broken("journal", f"takes nothing: {said}", "see disk above")
        else:
            todo = "show what API servers of this cluster show" if status in REFUSED else "see the daemon's log"
            yield broken("webhook", f"{url}: {status} {said}", todo)

    def _injected(self, mark: str) -> Iterator[Check]:
        """Have the daemon take the batch in by itself, so that at least the rest is tested."""
        said = f"wants proof of who posts, so the test goes around it; API servers of {self.cluster} have theirs"
        yield warning("webhook", said, "to test it too, give --token-file FILE, or --cert FILE and --key FILE")
        try:
            answer = self.client.ask("POST", "/api/tests", {"cluster": self.cluster, "mark": mark})
        except RedshankError as error:
            yield broken("journal", str(error), "see disk above, and the daemon's log")
        else:
            self.audit_id = answer["audit_id"]
            yield ok("journal", "the batch is on the disk")

    def _folded(self, *, tested: bool) -> Iterator[Check]:
        last, end = self._status()["last"], time.monotonic() + self.wait
        folded = False
        while not folded and not self.alert and time.monotonic() < end:
            status = self._status()
            folded = status["folded"] >= last
            self.alert = self._found()
            if not folded and not self.alert:
                time.sleep(POLL)
        if not folded and not self.alert:
            said = f"has not come to the batch within {self.wait:g} s"
            yield broken("fold", said, "see the daemon's log, and whether the process of the fold runs")
            return
        yield ok("fold", "has come to the batch")
        if self.alert:
            yield ok("alert", "is stored, with a delivery for every sink")
        elif not tested:
            todo = "run the shipped rules, pack core, to test the way to the sinks"
            yield warning("alert", "none: the rule of the test is not among those that run", todo)
        else:
            yield broken("alert", "none came of the batch", "see redshank alerts suppressions, and filters of rules")

    def _found(self) -> str:
        told = self.client.ask("GET", "/api/alerts", rule=TEST_RULE, cluster=self.cluster, limit=len(MARKS))
        return next((one["id"] for one in told["alerts"] if self.audit_id in one["audit_ids"]), "")

    def _delivered(self) -> Iterator[Check]:
        waiting, end = list(self._status()["sinks"]), time.monotonic() + self.wait
        if not waiting:
            yield warning("sinks", "there are none: alerts stay in the state", "configure one: docs/sinks.md")
        while waiting:
            late = time.monotonic() >= end
            for name, check in self._outcomes(waiting, late=late):
                waiting.remove(name)
                yield check
            if waiting:
                time.sleep(POLL)

    def _outcomes(self, names: list[str], *, late: bool) -> list[tuple[str, Check]]:
        """Give the sinks of which is known what became of the alert; all of them once it is ``late``."""
        rows = self.client.ask("GET", f"/api/alerts/{self.alert}/deliveries")["deliveries"]
        outstanding = {row["sink"]: row for row in rows}
        troubles = self.client.ask("GET", "/api/health")["troubles"]
        found = [(name, self._outcome(name, outstanding.get(name), troubles, late=late)) for name in names]
        return [(name, check) for name, check in found if check is not None]

    def _outcome(self, name: str, row: dict[str, Any] | None, troubles: dict[str, str], *, late: bool) -> Check | None:
        part = f"sink {name}"
        if row is None:
            return ok(part, "has the test alert")
        if row["error"]:
            return broken(part, f"{row['error']} ({count(row['tries'], 'try', 'tries')})", SINK)
        if part in troubles:
            return broken(part, f"takes nothing: {troubles[part]}", SINK)
        return broken(part, f"has not taken the test alert within {self.wait:g} s", SINK) if late else None
