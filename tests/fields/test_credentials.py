"""Credentials asked for, issued and used."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.fields import value_of
from detector.fields.credentials import subject_of
from tests.fields.making import event

# openssl req -new -subj "/O=system:masters/O=dev/CN=mallory" | base64
REQUEST = (
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIME1JR2JBZ0VBTURreEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRw"
    "dFlYTjBaWEp6TVF3d0NnWURWUVFLREFOawpaWFl4RURBT0JnTlZCQU1NQjIxaGJHeHZjbmt3V1RBVEJnY3Foa2pPUFFJQkJnZ3Fo"
    "a2pPUFFNQkJ3TkNBQVJyCjhWYllpZHVkdEhoSWdoK2poM0ZLNHBzcDJmZG00NWEvU21oeVhtSlkxN2NEeWUxMWtnWHpMOXZETEhO"
    "S0tEeXQKZWlXdU1NcHlJY3NPdzlNQmR2U3ZvQUF3Q2dZSUtvWkl6ajBFQXdJRFNBQXdSUUloQUpNRW5JR1NkY2VkUytEWgpiQ2Uv"
    "YTlOMTljM3lVY0J4aDNsazIvR3d4NGI2QWlCMlFzbCtQSTVTcFMvZTFFaEhQMlNvd3RoNE9mK1ovNU5iClpnN0lXT2ZSdGc9PQot"
    "LS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
)
MALLORY = {"common_name": "mallory", "organizations": ["system:masters", "dev"]}


def csr(request: Any, **spec: Any) -> Any:
    return event("create", "certificatesigningrequests", request={"spec": {"request": request, **spec}})


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + length + content


def pkcs10(*names: tuple[int, int, bytes]) -> bytes:
    """Make the part of a certificate request that names the subject from (attribute, string type, value)."""
    pairs = [der(0x31, der(0x30, der(6, bytes([0x55, 4, name])), der(kind, value))) for name, kind, value in names]
    return der(0x30, der(0x30, der(2, b"\x00"), der(0x30, *pairs)))


def pem(content: bytes, before: str = "") -> str:
    block = f"-----BEGIN CERTIFICATE REQUEST-----\n{b64encode(content).decode()}\n-----END CERTIFICATE REQUEST-----\n"
    return b64encode((before + block).encode()).decode()


def test_a_certificate_requests_subject_is_decoded() -> None:
    asked = csr(REQUEST, signerName="kubernetes.io/kube-apiserver-client")
    assert value_of("csr.subject", asked) == MALLORY
    assert value_of("csr.user", asked) == "mallory"
    assert value_of("csr.groups", asked) == ["system:masters", "dev"]
    assert value_of("csr.signer", asked) == "kubernetes.io/kube-apiserver-client"


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [(0x0C, "jö".encode(), "jö"), (0x13, b"jo", "jo"), (0x1E, "jo".encode("utf-16-be"), "jo"), (0x0C, b"\xff", "�")],
)
def test_every_type_of_string_is_read(kind: int, value: bytes, name: str) -> None:
    assert subject_of(pem(pkcs10((3, kind, value)))) == {"common_name": name, "organizations": []}


def test_the_last_common_name_counts_as_it_does_for_the_api_server() -> None:
    twice = pkcs10((3, 0x0C, b"decoy"), (3, 0x0C, b"x" * 300), (11, 0x0C, b"unit"))
    assert subject_of(pem(twice)) == {"common_name": "x" * 300, "organizations": []}


def test_an_unreadable_block_does_not_hide_the_next() -> None:
    decoy = "-----BEGIN CERTIFICATE REQUEST-----\nAAA!\n-----END CERTIFICATE REQUEST-----\n"
    assert subject_of(pem(pkcs10((3, 0x0C, b"jo")), before=decoy)) == {"common_name": "jo", "organizations": []}


@pytest.mark.parametrize(
    "request_", [None, 3, "", "!", "AAAA", [], REQUEST[:400], pem(b"\x30\x84"), pem(b"\x30\x03\x02\x01")]
)
def test_what_is_no_certificate_request_is_unknown(request_: Any) -> None:
    assert value_of("csr.subject", csr(request_)) is None
    assert value_of("csr.user", csr(request_)) is None
    assert value_of("csr.groups", csr(request_)) is None


@given(st.binary(max_size=200))
def test_no_bytes_can_break_the_reading(content: bytes) -> None:
    subject_of(pem(content))
    subject_of(pem(der(0x30, der(0x30, der(2, b""), der(0x30, der(0x31, content))))))
    subject_of(b64encode(content).decode())


@settings(max_examples=30)
@given(st.text(max_size=200))
def test_no_text_can_break_the_reading(request_: str) -> None:
    subject_of(request_)


def approval(actor: str, condition: str = "Approved") -> Any:
    body = {"spec": {"request": REQUEST, "username": "mallory"}, "status": {"conditions": [{"type": condition}]}}
    return event("update", "certificatesigningrequests/approval", "x", username=actor, request=body)


def test_approving_ones_own_request() -> None:
    assert value_of("csr.selfapproved", approval("mallory")) is True
    assert value_of("csr.selfapproved", approval("jo")) is False
    assert value_of("csr.selfapproved", approval("mallory", "Denied")) is False
    assert value_of("csr.requester", approval("jo")) == "mallory"
    assert value_of("csr.subject", approval("jo")) == MALLORY


def test_an_approval_by_patch_is_completed_from_the_answer() -> None:
    body = [{"op": "add", "path": "/status/conditions/-", "value": {"type": "Approved"}}]
    answer = {"kind": "CertificateSigningRequest", "spec": {"request": REQUEST, "username": "mallory"}}
    patched = event("patch", "certificatesigningrequests/approval", username="mallory", request=body, response=answer)
    assert value_of("csr.selfapproved", patched) is True
    assert value_of("csr.subject", patched) == MALLORY


def test_an_approval_without_a_body_is_unknown() -> None:
    assert value_of("csr.selfapproved", event("update", "certificatesigningrequests/approval", username="jo")) is None
    assert value_of("csr.selfapproved", csr(REQUEST)) is None


def token(spec: Any) -> Any:
    return event("create", "serviceaccounts/token", "api", request={"kind": "TokenRequest", "spec": spec})


def test_a_token_bound_to_a_pod() -> None:
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "api-0", "uid": "u"}
    asked = token({"audiences": ["vault"], "expirationSeconds": 3607, "boundObjectRef": bound})
    assert value_of("token.audiences", asked) == ["vault"]
    assert value_of("token.expiration_seconds", asked) == 3607
    assert value_of("token.bound", asked) == "Pod/api-0"


def test_a_token_bound_to_nothing_differs_from_an_unknown_one() -> None:
    free = token({"audiences": None, "expirationSeconds": None})
    assert (value_of("token.bound", free), value_of("token.audiences", free)) == ("", [])
    assert value_of("token.expiration_seconds", free) is None
    blind = event("create", "serviceaccounts/token", "api")
    assert {value_of(f"token.{part}", blind) for part in ("bound", "audiences", "expiration_seconds")} == {None}


@pytest.mark.parametrize(
    "junk", [None, 3, "x", [], {"expirationSeconds": True, "boundObjectRef": []}, {"audiences": {}}]
)
def test_wrong_shapes_are_passed_over(junk: Any) -> None:
    assert value_of("token.expiration_seconds", token(junk)) is None
    assert value_of("token.bound", token(junk)) == ""
    assert value_of("token.audiences", token(junk)) == []


def test_the_credential_in_use() -> None:
    extra = {
        "authentication.kubernetes.io/credential-id": ["JTI=bf04"],
        "authentication.kubernetes.io/pod-name": ["api-0"],
        "authentication.kubernetes.io/node-name": ["worker-1"],
    }
    used = event(username="system:serviceaccount:shop:api", user={"extra": extra})
    assert [value_of(f"credential.{part}", used) for part in ("id", "pod", "node")] == ["JTI=bf04", "api-0", "worker-1"]


@pytest.mark.parametrize("extra", [None, {}, {"authentication.kubernetes.io/credential-id": []}])
def test_an_unrecorded_credential_is_unknown(extra: Any) -> None:
    assert value_of("credential.id", event(username="jo", user={"extra": extra})) is None
    assert value_of("credential.id", event()) is None


def test_a_secret_that_holds_a_token() -> None:
    kind = "kubernetes.io/service-account-token"
    body = {"type": kind, "metadata": {"annotations": {"kubernetes.io/service-account.name": "admin"}}}
    made = event("create", "secrets", "t", request=body)
    assert (value_of("secret.type", made), value_of("secret.serviceaccount", made)) == (kind, "admin")
    opaque = event("create", "secrets", request={**body, "type": "Opaque"})
    assert (value_of("secret.type", opaque), value_of("secret.serviceaccount", opaque)) == ("Opaque", None)
    assert value_of("secret.type", event("create", "secrets")) is None
    assert value_of("secret.type", event("create", "configmaps", request=body)) is None
