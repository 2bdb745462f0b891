"""Certificate requests, and the identities that approved ones make until they are used for the first time."""

from __future__ import annotations

from typing import Any, ClassVar

from detector.event import Event, ObjectRef
from detector.fields.body import dig, elements, mapping, text, texts
from detector.fields.credentials import csr_requester, csr_signer, csr_subject, subject_of
from detector.fields.facts import CertificateRequest, Identity
from detector.fields.request import outcome, stated
from detector.memory.bodies import after, created_at, name_of
from detector.memory.risk import few
from detector.memory.subject import Places, Subject, author, begun, key_of, shown
from detector.memory.table import Table

SIZE = 2_000
GROUP = "certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
"""Signers of this name, or that begin so, make certificates that the API server lets in."""
_WRITES = ("create", "update", "patch", "delete")


class Certificates(Subject):
    """Knows certificate requests by name, and identities not used yet by username."""

    every: ClassVar[bool] = True
    teaches: ClassVar[Places] = {
        (GROUP, "certificatesigningrequests"): _WRITES,
        (GROUP, "certificatesigningrequests/approval"): ("update", "patch"),
    }

    def __init__(self) -> None:
        self.table = Table(SIZE, CertificateRequest)
        self.identities = Table(SIZE, Identity)
        super().__init__(certificates=self.table, issued=self.identities)

    def get(self, name: str | None) -> CertificateRequest | None:
        """Give a certificate request."""
        return self.table.get(key_of(name))

    def identity(self, user: str | None) -> Identity | None:
        """Give the identity of a user, until it is used for the first time."""
        return self.identities.get(key_of(user))

    def watch(self, event: Event, now: int) -> None:
        """Take in that an identity is used."""
        waiting = self.identities.established or self.identities.probation
        if not waiting or event.user is None or event.user.username is None:
            return
        key = key_of(event.user.username)
        if key in self.identities and outcome(event) == "allowed":  # else the use that counts is yet to come
            self.identities.pop(key)

    def learn(self, event: Event, ref: ObjectRef, now: int) -> None:
        """Take in a write to a certificate request, or its approval."""
        name = name_of(event, ref)
        key = key_of(name)
        known, body = self.table.get(key), after(event)
        if event.verb == "delete":
            self.table.pop(key)
            return
        value = _read(event, body, known, now)
        if not ref.subresource:
            self.table.learn(key, value, now)
        elif value.user and value.user != value.created_by and _approves(event, value):
            made = Identity(now, shown(name) or "", value.created_by, author(event))
            self.identities.learn(key_of(value.user), made, now)

    def see(self, body: dict[str, Any], now: int) -> None:
        """Take in a certificate request of a dump."""
        name, spec = text(dig(body, "metadata", "name")), mapping(body.get("spec"))
        if body.get("kind") == "CertificateSigningRequest" and name:
            subject = subject_of(text(spec.get("request")) or "") or {}
            value = CertificateRequest(
                at=now,
                created_at=created_at(body, now),
                created_by=shown(text(spec.get("username"))),
                **_asked(subject, text(spec.get("signerName"))),
            )
            self.table.seed(key_of(name), value)


def _read(event: Event, body: dict[str, Any] | None, known: CertificateRequest | None, now: int) -> CertificateRequest:
    """Give what is known of a request after a write to it; what it asks for never changes."""
    subject: dict[str, Any] | None = csr_subject(event)
    asked = _asked(subject, csr_signer(event)) if subject else {}
    if not asked and known is not None and event.verb != "create":
        asked = {"user": known.user, "groups": known.groups, "signer": known.signer}
    start = begun(event, body, known, now)
    start["created_by"] = start.get("created_by") or shown(csr_requester(event))
    return CertificateRequest(**start, **asked)


def _asked(subject: dict[str, Any], signer: str | None) -> dict[str, Any]:
    groups = few(texts(subject.get("organizations")))
    return {"user": shown(text(subject.get("common_name"))), "groups": groups, "signer": shown(signer)}


def _approves(event: Event, asked: CertificateRequest) -> bool:
    """Tell whether a write of the approval may make a client certificate."""
    body: dict[str, Any] | None = stated(event)
    conditions = elements(dig(body, "status", "conditions"))
    approved = body is None or any(one.get("type") == "Approved" for one in conditions)
    return approved and (asked.signer is None or asked.signer.startswith(CLIENT))
