"""What looks like a token is blanked, and what stands around it is not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.redaction.tokens import (
    BLANK,
    BODY_STEMS,
    STEMS,
    SURE_STEMS,
    TEXT,
    URI,
    WINDOW,
    found,
    scrub,
    scrub_all,
    suspect,
    suspect_body,
)

PLANTED = "hunter2-planted"
JWT = f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.{PLANTED}"

URIS = [
    (f"/api/v1?token={PLANTED}", f"/api/v1?token={BLANK}"),
    (f"/x?a=1&access_token={PLANTED}&b=2", f"/x?a=1&access_token={BLANK}&b=2"),
    (f"/x?Authorization={PLANTED}", f"/x?Authorization={BLANK}"),
    ("command=Authorization%3A+Basic+aHVudGVyOjI%3D&tty=1", f"command=Authorization%3A+Basic+{BLANK}&tty=1"),
    ("command=Authorization%3A%20Basic%20aHVudGVyOjI%3D", f"command=Authorization%3A%20Basic%20{BLANK}"),
    (f"/x/proxy/a%3Ftoken%3D{PLANTED}%26b=1", f"/x/proxy/a%3Ftoken%3D{BLANK}%26b=1"),
    (
        f"/x?command=curl&command=http%3A%2F%2Fa%3Fpassword%3d{PLANTED}&c=1",
        f"/x?command=curl&command=http%3A%2F%2Fa%3Fpassword%3d{BLANK}&c=1",
    ),
    (f"/x?u=a%253Fclient_secret%253D{PLANTED}%2526b", f"/x?u=a%253Fclient_secret%253D{BLANK}%2526b"),
    (f"command=Bearer+{PLANTED}", f"command=Bearer+{BLANK}"),
    (
        f"/exec?command=mysql&command=--password%3D{PLANTED}&tty=1",
        f"/exec?command=mysql&command=--password%3D{BLANK}&tty=1",
    ),
    ("/exec?command=PGPASSWORD%3Da%2Bb%21+psql", f"/exec?command=PGPASSWORD%3D{BLANK}+psql"),
    (f"/proxy/{JWT}/x", f"/proxy/{BLANK}/x"),
]
TEXTS = [
    (f"curl -H 'Authorization: Bearer {PLANTED}'", f"curl -H 'Authorization: Bearer {BLANK}'"),
    ("curl -H 'Authorization: Basic aHVudGVyOjI='", f"curl -H 'Authorization: Basic {BLANK}'"),
    ("BEARER ab+cd/ef==", f"BEARER {BLANK}"),
    (f"a {JWT} b", f"a {BLANK} b"),
    (f"eyJhbGciOiJSUzI1NiJ9.{'a' * 40}.{'b' * 9}.{'c' * 9}.{'d' * 9}", BLANK),
    (f"x{JWT}", f"x{BLANK}"),
    (f"mysql --password={PLANTED} -h db", f"mysql --password={BLANK} -h db"),
    (f"export API_TOKEN='{PLANTED}'", f"export API_TOKEN='{BLANK}'"),
    (f"accessToken={PLANTED}&b", f"accessToken={BLANK}&b"),
    ("AWS_SECRET_ACCESS_KEY=ab+cd/ef aws s3 ls", f"AWS_SECRET_ACCESS_KEY={BLANK} aws s3 ls"),
    (f"https://x/?api_key={PLANTED}", f"https://x/?api_key={BLANK}"),
]
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{LINE}\n{LINE}\nab==\n-----END RSA PRIVATE KEY-----\n"
TEXTS += [
    (KEY, f"-----BEGIN RSA PRIVATE KEY-----{BLANK} RSA PRIVATE KEY-----\n"),
    (KEY.replace("\n", "\\n"), f"-----BEGIN RSA PRIVATE KEY-----{BLANK} RSA PRIVATE KEY-----\\n"),
    (f"-----BEGIN PRIVATE KEY-----\n{LINE}", f"-----BEGIN PRIVATE KEY-----{BLANK}"),
    (f"echo -----BEGIN PRIVATE KEY----- {LINE} nsenter", f"echo -----BEGIN PRIVATE KEY-----{BLANK} nsenter"),
    (f"user:\n  client-key-data: {LINE}\nname: a", f"user:\n  client-key-data: {BLANK}\nname: a"),
    (f'{{"client-key-data":"{LINE}","a":1}}', f'{{"client-key-data":"{BLANK}","a":1}}'),
]
PLAIN = [
    "a basic question",
    "/api/v1/pods?limit=500&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ&labelSelector=app%3Dtoken",
    "the bearer of news",
    "kubectl/v1.36.0 (linux/amd64) kubernetes/secret",
    'RBAC: allowed by RoleBinding "token-reader" of Role "secret"',
    "PASSWORD=$OTHER",
    "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n-----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY----- nsenter -t 1 -m",
    "password=",
    "cert-manager/token%s",
]


@pytest.mark.parametrize(("text", "clean"), [*TEXTS, *((text, text) for text in PLAIN)])
def test_tokens_in_texts_are_blanked(text: str, clean: str) -> None:
    assert scrub(text) == clean
    assert scrub_all({"a": [text]}) == {"a": [clean]}
    assert scrub(clean) == clean


@pytest.mark.parametrize(("text", "clean"), [*URIS, *((text, text) for text in PLAIN)])
def test_tokens_in_uris_are_blanked(text: str, clean: str) -> None:
    assert scrub(text, URI) == clean
    assert scrub(clean, URI) == clean


HIDING = "nsenter -t 1 -m"


@pytest.mark.parametrize("word", ["password=x", "TOKEN='x'", "bearer abcdefgh", "Authorization: Basic abcd", JWT])
@pytest.mark.parametrize("end", [" ", ";", "&&", "|", "\n", "`", "$(", "<", ">"])
def test_what_follows_a_token_in_a_command_is_not_hidden(word: str, end: str) -> None:
    assert scrub(f"{word}{end}{HIDING}").endswith(f"{end}{HIDING}")


@pytest.mark.parametrize("word", ["password%3Dx", "TOKEN%3D%27x%27", "bearer+abcdefgh", "Authorization%3A+Basic+abcd"])
@pytest.mark.parametrize(
    "end", ["+", "%20", "%3B", "%3b", "%26%26", "%7C", "%0A", "%60", "%24%28", "&command=", "%253B"]
)
def test_what_follows_a_token_in_a_uri_is_not_hidden(word: str, end: str) -> None:
    uri = f"/exec?command=sh&command=-c&command={word}{end}nsenter+-t+1"
    assert scrub(uri, URI).endswith(f"{end}nsenter+-t+1")


FRAGMENTS = ("token", "Secret", "AUTHORIZATION", "=", "%3D", "%253d", "?", "&", " ", "+", "%20", "Basic", "bearer", "x")


@given(st.lists(st.sampled_from((*FRAGMENTS, "eyJ", ".", "abcdefgh", "api_", "Key")), max_size=9).map("".join))
def test_no_token_is_missed_by_looking_for_stems_first(text: str) -> None:
    for shapes in (TEXT, URI):
        thorough = text.encode()
        for shape in shapes:
            thorough = shape.expression.sub(rf"\1{BLANK}".encode(), thorough)
        assert scrub(text, shapes) == thorough.decode()


@given(st.text(), st.sampled_from([text for text, _ in TEXTS]), st.text())
def test_texts_of_any_alphabet_stay_what_they_are_but_for_the_token(before: str, text: str, after: str) -> None:
    whole = f"{before} {text} {after}"
    assert PLANTED not in scrub(whole)
    assert scrub(whole).startswith(f"{before} ")


PLACES = [0, 1, WINDOW - 1, WINDOW, 2 * WINDOW, *(WINDOW - length for length in range(2, 16))]


@pytest.mark.parametrize("stem", STEMS)
def test_a_stem_is_found_wherever_it_is(stem: bytes) -> None:
    for at in PLACES:
        data = b" " * at + stem + b" " * 9
        assert suspect(data)
        assert at in list(found(data))


@pytest.mark.parametrize("stem", SURE_STEMS)
def test_a_stem_of_a_carrier_is_found_wherever_it_is(stem: bytes) -> None:
    for at in PLACES:
        assert suspect_body(memoryview(b" " * at + stem + b" " * 9))


NAMES = ["token", "password", "passwd", "secret", "authorization", "api_key", "access-key", "secretkey", "private_key"]


@pytest.mark.parametrize("name", [*NAMES, *map(str.upper, NAMES), "Token", "apiKey"])
@pytest.mark.parametrize(
    "pair",
    [
        '"name":"%s","value"',
        '"name": "A_%s"}',
        r'last-applied":"{\"name\":\"%s\",',
        r'last-applied":"{\n\"name\": \"%s\"\n}',
    ],
)
def test_a_telling_name_is_found_wherever_it_is(name: str, pair: str) -> None:
    for at in PLACES:
        assert suspect_body(memoryview(b" " * at + (pair % name).encode() + b" " * 9))


@pytest.mark.parametrize(
    "body",
    [
        b'{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}',
        b'{"tolerations":[{"key":"a","value":"b"}],"secret":{"secretName":"db-password"}}',
        b'{"managedFields":{"k:{\\"name\\":\\"web\\"}":{}},"last-applied":"{\\"kind\\":\\"Pod\\",\\"name\\":\\"web\\"}"}}',
    ],
)
def test_bodies_of_most_pods_are_not_taken_apart(body: bytes) -> None:
    assert not suspect_body(body)


def test_the_search_is_fast_with_so_many_stems() -> None:
    assert len(STEMS) <= 32
    assert len(BODY_STEMS) <= 36


def test_a_lone_surrogate_stops_nothing() -> None:
    assert scrub(f"\ud800 token={PLANTED}") == f"\ud800 token={BLANK}"


def test_nesting_has_a_limit() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    assert orjson.dumps(scrub_all(deep))
