"""Credentials asked for, issued and used: certificate requests, tokens, token secrets."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from detector.event import Event
from detector.fields.actor import actor, effective_user
from detector.fields.body import dig, elements, mapping, text, texts
from detector.fields.registry import derived
from detector.fields.request import answered, key, object_annotations, stated

_EXTRA = "authentication.kubernetes.io/"
_MAX_REQUEST = 65_536
_BLOCK = r"^-----BEGIN CERTIFICATE REQUEST-----[ \t\r]*\n([^-]*)^-----END CERTIFICATE REQUEST-----"
_PEM = re.compile(_BLOCK, re.MULTILINE)
_COMMON_NAME, _ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_SEQUENCE, _SET, _INTEGER = 0x30, 0x31, 0x02
# String types of names; whatever else there is reads as Latin-1, which holds any byte.
_CODECS = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_SHORT_FORM, _MAX_LENGTH_OCTETS = 0x80, 3


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the (tag, content) pairs that DER holds one after the other; ValueError when it is cut short."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], int.from_bytes(der[at + 1 : at + 2], "big"), at + 2
        if length >= _SHORT_FORM:
            octets = length - _SHORT_FORM
            if not 0 < octets <= _MAX_LENGTH_OCTETS:
                raise ValueError("unreadable length")
            length, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        if at + length > len(der):
            raise ValueError("cut short")
        yield tag, der[at : at + length]
        at += length


def _inside(items: Iterator[tuple[int, bytes]], tag: int) -> Iterator[tuple[int, bytes]]:
    found, content = next(items, (None, b""))
    if found != tag:
        raise ValueError("unexpected tag")
    return _items(content)


def _attributes(der: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the subject's (object id, value) pairs of a PKCS#10 request (RFC 2986, names: RFC 5280)."""
    info = _inside(_inside(_items(der), _SEQUENCE), _SEQUENCE)
    if next(info, (None, b""))[0] != _INTEGER:
        raise ValueError("no version")
    for tag, relative_name in _inside(info, _SEQUENCE):
        for _, pair in _items(relative_name) if tag == _SET else ():
            (_, name), (kind, value) = list(_items(pair))[:2]
            yield name, value.decode(_CODECS.get(kind, "latin-1"), "replace")


def _readable(request: str) -> Iterator[list[tuple[bytes, str]]]:
    """Yield the subject of each PEM block that can be read; the API server takes the first such block too."""
    with suppress(ValueError):
        for block in _PEM.finditer(b64decode(request).decode("latin-1")):
            with suppress(ValueError):
                # PEM may carry headers ("Proc-Type: ..."): base64 has no colon.
                lines = [line.strip() for line in block[1].splitlines() if ":" not in line]
                yield list(_attributes(b64decode("".join(lines), validate=True)))


def subject_of(request: str) -> dict[str, Any] | None:
    """Read the subject of a base64 PEM certificate request; None when it is none."""
    pairs = next(_readable(request[:_MAX_REQUEST]), None)
    if pairs is None:
        return None
    names = [value for name, value in pairs if name == _COMMON_NAME]
    return {
        "common_name": names[-1] if names else None,
        "organizations": [value for name, value in pairs if name == _ORGANIZATION],
    }


def _of_csr(event: Event, field: str) -> Any:
    """Give a field of a certificate request's spec; a patch does not repeat it, so the answer is asked too."""
    ref = event.objectRef
    if ref is None or ref.resource != "certificatesigningrequests":
        return None
    return dig(stated(event), "spec", field) or dig(answered(event), "spec", field)


@derived("csr.subject", "object")
def csr_subject(event: Event) -> dict[str, Any] | None:
    """Whom a certificate is asked for: common_name and organizations, decoded from a CertificateSigningRequest.

    With a client certificate they become the user and the groups. Also for approvals, which repeat the request. Null
    for other requests, without a body, and when the certificate request cannot be read.
    """
    request = text(_of_csr(event, "request"))
    return subject_of(request) if request else None


@derived("csr.user", "text")
def csr_user(event: Event) -> str | None:
    """The username that the certificate would give: the common name; null like csr.subject."""
    return text(dig(csr_subject(event), "common_name"))


@derived("csr.groups", "list of text")
def csr_groups(event: Event) -> list[str] | None:
    """The groups that the certificate would give: the organizations; null like csr.subject."""
    subject: dict[str, Any] | None = csr_subject(event)
    return None if subject is None else subject["organizations"]


@derived("csr.signer", "text")
def csr_signer(event: Event) -> str | None:
    """The signer a certificate is asked of, such as kubernetes.io/kube-apiserver-client; null when not known."""
    return text(_of_csr(event, "signerName"))


@derived("csr.requester", "text")
def csr_requester(event: Event) -> str | None:
    """Who made the certificate request (spec.username, which the API server fills in); null without a body."""
    return text(_of_csr(event, "username"))


@derived("csr.selfapproved", "boolean")
def csr_selfapproved(event: Event) -> bool | None:
    """Whether the actor approves a certificate request of their own; null when it is no approval or has no body."""
    if key(event) != "certificatesigningrequests/approval":
        return None
    body, requester = stated(event), csr_requester(event)
    if body is None or requester is None:
        return None
    approved = any(condition.get("type") == "Approved" for condition in elements(dig(body, "status", "conditions")))
    return approved and requester in (actor(event), effective_user(event))


def _of_token(event: Event) -> dict[str, Any] | None:
    if key(event) != "serviceaccounts/token":
        return None
    body: dict[str, Any] | None = stated(event)
    return None if body is None else mapping(body.get("spec"))


@derived("token.audiences", "list of text")
def token_audiences(event: Event) -> list[str] | None:
    """The audiences that a TokenRequest asks for; empty for the API server's own; null for other requests."""
    spec = _of_token(event)
    return None if spec is None else texts(spec.get("audiences"))


@derived("token.expiration_seconds", "number")
def token_expiration_seconds(event: Event) -> int | None:
    """The lifetime that a TokenRequest asks for, in seconds; null when it asks for none, and for other requests."""
    seconds = (_of_token(event) or {}).get("expirationSeconds")
    return seconds if isinstance(seconds, int) and not isinstance(seconds, bool) else None


@derived("token.bound", "text")
def token_bound(event: Event) -> str | None:
    """The object that a requested token lives and dies with, as Kind/name; empty when it is bound to nothing.

    Null for other requests and when there is no body.
    """
    spec = _of_token(event)
    if spec is None:
        return None
    bound = mapping(spec.get("boundObjectRef"))
    return f"{text(bound.get('kind')) or ''}/{text(bound.get('name')) or ''}" if bound else ""


def _extra(event: Event, name: str) -> str | None:
    extra = event.user.extra if event.user else None
    values = extra.get(_EXTRA + name) if extra else None
    return values[0] if values else None


@derived("credential.id", "text")
def credential_id(event: Event) -> str | None:
    """Which credential the actor used: JTI=... of a token, X509SHA256=... of a certificate; null when not recorded.

    Equals the annotation authentication.kubernetes.io/issued-credential-id of the request that issued the token.
    """
    return _extra(event, "credential-id")


@derived("credential.pod", "text")
def credential_pod(event: Event) -> str | None:
    """The pod that the actor's token was issued for; null when it is bound to none or that is not recorded."""
    return _extra(event, "pod-name")


@derived("credential.node", "text")
def credential_node(event: Event) -> str | None:
    """The node of the pod that the actor's token was issued for; null when not recorded."""
    return _extra(event, "node-name")


def _secret(event: Event) -> dict[str, Any] | None:
    body: dict[str, Any] | None = stated(event) if key(event) == "secrets" else None
    return body


@derived("secret.type", "text")
def secret_type(event: Event) -> str | None:
    """The type of a Secret that is written, where the record has its body; null otherwise.

    kubernetes.io/service-account-token makes a token that never expires.
    """
    return text(dig(_secret(event), "type"))


@derived("secret.serviceaccount", "text")
def secret_serviceaccount(event: Event) -> str | None:
    """The service account for which a written Secret of type service-account-token holds a token; null otherwise."""
    if secret_type(event) != "kubernetes.io/service-account-token":
        return None
    return text((object_annotations(event) or {}).get("kubernetes.io/service-account.name"))
