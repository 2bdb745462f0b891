"""Addresses, tokens, and what they may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from detector.listen import Address, ListenSettings, TokenHash, hash_token, is_loopback
from detector.listen.settings import bearer, matches


class Tokens(BaseModel):
    token: TokenHash


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8889", "127.0.0.1", 8889),
        ("[::1]:0", "::1", 0),
        (":443", "", 443),
        ("audit.example:1", "audit.example", 1),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8889", "host:", "host:port", "::1:80", "host:70000", "host:-1", "host:²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="listen"):
        ListenSettings(listen=text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", ".".join("0000"), "::", "10.0.0.1", "localhost.example", "fe80::1%eth0", "127.0.0.1.nip.io"]
)
def test_everything_else_is_taken_to_be_reachable(host: str) -> None:
    assert not is_loopback(host)


def test_a_plain_token_in_the_place_of_its_hash_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        Tokens(token="my-secret-token")
    assert "my-secret-token" not in str(caught.value.errors(include_input=False))


def test_a_hash_is_taken_with_and_without_its_prefix() -> None:
    hashed = hash_token("abc")
    assert Tokens(token=hashed).token == Tokens(token=hashed.removeprefix("sha256:").upper()).token == hashed


@given(st.text())
def test_any_authorization_header_is_read_without_an_error(text: str) -> None:
    assert bearer(text) == "" or text.strip().lower().startswith("bearer")


@pytest.mark.parametrize("text", ["Bearer abc", "bearer abc", " BEARER  abc "])
def test_a_bearer_token_is_known_by_its_hash(text: str) -> None:
    assert matches(bearer(text), [hash_token("other"), hash_token("abc")])


@pytest.mark.parametrize("text", [None, "", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer abcd", "Bearer ab"])
def test_nothing_else_matches(text: str | None) -> None:
    assert not matches(bearer(text), [hash_token("abc")])
