"""Event: the typed envelope of one Kubernetes audit record.

The shape is ``audit.k8s.io/v1`` Event (https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/); attribute
names are the API's own. Every attribute may be ``None``: nothing in an audit log can be relied on. The two bodies stay
raw JSON until somebody asks for `Event.request` or `Event.response`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any

import msgspec
import orjson

from detector import loose
from detector.errors import RejectedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
"""One second in the unit of all times here: microseconds since 1970, as integers."""
DAY = 86_400 * SECOND

FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""Times beyond these cannot be written; a zone can push one there."""

_ABSENT = msgspec.Raw()
UNREADABLE = "(unreadable)"
"""In place of a body that is there and cannot be read: a text, as the API server puts for one it could not decode."""


class ObjectRef(msgspec.Struct, gc=False, omit_defaults=True):
    """The object a request is about."""

    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    apiGroup: str | None = None
    apiVersion: str | None = None
    resourceVersion: str | None = None
    subresource: str | None = None


class UserInfo(msgspec.Struct, gc=False, omit_defaults=True):
    """Who sent a request, or whom it impersonates."""

    username: str | None = None
    uid: str | None = None
    groups: list[str] | None = None
    extra: dict[str, list[str] | None] | None = None


class ResponseStatus(msgspec.Struct, gc=False, omit_defaults=True):
    """The API server's answer (``metav1.Status`` without its details)."""

    code: int | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None


class AuthenticationMetadata(msgspec.Struct, gc=False, omit_defaults=True):
    """How a constrained impersonation was allowed (Kubernetes 1.35 and later)."""

    impersonationConstraint: str | None = None


class Event(msgspec.Struct, dict=True, omit_defaults=True):
    """One audit record. Derived fields are remembered in its ``__dict__`` (see `detector.fields`)."""

    kind: str | None = None
    apiVersion: str | None = None
    level: str | None = None
    auditID: str | None = None
    stage: str | None = None
    requestURI: str | None = None
    verb: str | None = None
    user: UserInfo | None = None
    impersonatedUser: UserInfo | None = None
    authenticationMetadata: AuthenticationMetadata | None = None
    sourceIPs: list[str] | None = None
    userAgent: str | None = None
    objectRef: ObjectRef | None = None
    responseStatus: ResponseStatus | None = None
    requestObject: msgspec.Raw = _ABSENT
    responseObject: msgspec.Raw = _ABSENT
    requestReceivedTimestamp: str | None = None
    stageTimestamp: str | None = None
    annotations: dict[str, str] | None = None
    timestamp: str | None = None
    """v1beta1 only: the time of the event where the two above are missing."""

    @cached_property
    def request(self) -> Any:
        """The request body as JSON (object, list or string), None when absent or not JSON."""
        return _body(self.requestObject)

    @cached_property
    def response(self) -> Any:
        """The response body as JSON, None when absent or not JSON."""
        return _body(self.responseObject)

    @property
    def time(self) -> int | None:
        """Stage time in microseconds since 1970 (None when the record carries no readable time)."""
        return micros(self.stageTimestamp) or micros(self.requestReceivedTimestamp) or micros(self.timestamp)

    def digest(self) -> bytes:
        """What makes a record this record and no other, as 16 bytes.

        The Audit-ID alone identifies nothing: clients choose it.
        """
        user, status = self.user, self.responseStatus
        parts = (
            f"{self.auditID}\0{self.stage}\0{self.requestReceivedTimestamp}\0{self.stageTimestamp}\0"
            f"{user and user.username}\0{self.verb}\0{self.requestURI}\0{status and status.code}"
        )
        return blake2b(parts.encode(), digest_size=16).digest()

    @cached_property
    def fingerprint(self) -> str:
        """The digest as 32 hex digits."""
        return self.digest().hex()

    @property
    def request_key(self) -> str:
        """What the stages of one request share (a long one gives an event at its start and at its end)."""
        user = self.user and self.user.username
        return f"{self.auditID}\0{self.requestReceivedTimestamp}\0{user}\0{self.verb}\0{self.requestURI}"

    def as_dict(self) -> dict[str, Any]:
        """Give the record as plain JSON types, bodies included, absent attributes left out."""
        plain = msgspec.to_builtins(msgspec.structs.replace(self, requestObject=_ABSENT, responseObject=_ABSENT))
        bodies = {"requestObject": self.request, "responseObject": self.response}
        return {**plain, **{name: body for name, body in bodies.items() if body is not None}}


def _body(raw: msgspec.Raw) -> Any:
    data = memoryview(raw)
    if not data:
        return None
    try:
        return orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError):
        return read_body(raw)


def read_body(raw: msgspec.Raw) -> Any:
    """Read a body anew, so that a caller may change it; `UNREADABLE` when it is no JSON."""
    try:
        return loose.parse(bytes(raw))
    except RejectedError:
        return UNREADABLE


def micros(timestamp: str | None) -> int | None:
    """Read an RFC 3339 time as microseconds since 1970; None when it is absent or unreadable.

    A time without a zone is taken as UTC, digits beyond the sixth are dropped.
    """
    if not timestamp:
        return None
    try:
        parsed = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    since = parsed - EPOCH
    time = since.days * DAY + since.seconds * SECOND + since.microseconds
    return time if parsed.tzinfo is UTC or FIRST <= time <= LAST else None


def rfc3339(time: int) -> str:
    """Write microseconds since 1970 as an RFC 3339 time in UTC."""
    # strftime writes years before 1000 with fewer than four digits.
    return (EPOCH + timedelta(microseconds=time)).isoformat(timespec="microseconds").replace("+00:00", "Z")
