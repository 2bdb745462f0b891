"""One event: the fast way, the lenient way, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import RejectedError
from detector.event import Event
from detector.formats import decode, decode_event
from detector.formats.lenient import code
from detector.loose import prune

HEAD = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","stage":"ResponseComplete","verb":"get"'


def event(members: bytes) -> Event:
    return decode_event(HEAD + b"," + members + b"}")


def test_an_ordinary_event_is_decoded_and_its_bodies_stay_raw() -> None:
    decoded = event(b'"requestObject":{"a":[1]},"responseStatus":{"code":403},"user":{"username":"bob"}')
    assert bytes(decoded.requestObject) == b'{"a":[1]}'
    assert decoded.request == {"a": [1]}
    assert decoded.responseStatus is not None
    assert decoded.responseStatus.code == 403


@pytest.mark.parametrize(
    "raw",
    [
        b'{"auditID":"a","stage":"Panic","verb":"get"}',
        b'{"auditID":"a","verb":""}',
        b'{"stage":"ResponseStarted","verb":"get"}',
        b'{"kind":"Event","apiVersion":"audit.k8s.io/v1beta1","timestamp":"2018-01-01T00:00:00Z","stage":"Panic"}',
        b'{"apiVersion":"audit.k8s.io/v1","verb":"get","responseObject":null,"user":null,"objectRef":null}',
    ],
)
def test_what_counts_as_an_event(raw: bytes) -> None:
    assert isinstance(decode_event(raw), Event)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"kind":"Event","apiVersion":"v1","involvedObject":{},"reason":"Pulled"}', "core/v1 Event"),
        (b'{"kind":"Event","apiVersion":"events.k8s.io/v1","regarding":{},"reason":"Pulled"}', "events.k8s.io"),
        (b'{"kind":"Event","apiVersion":"v1","verb":"get","auditID":"a","stage":"b"}', "another API group"),
        (b'{"auditID":"a","requestURI":"/v3","method":"GET","requestTimestamp":"x"}', "Rancher"),
        (b'{"kind":"Policy","apiVersion":"audit.k8s.io/v1","rules":[],"omitStages":[]}', "audit policy"),
        (b'{"kind":"Event","apiVersion":"audit.k8s.io/v1"}', "without verb"),
        (b'{"kind":"Pod","apiVersion":"v1"}', "another Kubernetes object"),
        (b'{"Records":1}', "unknown shape"),
        (b"[1]", "JSON array"),
        (b"7", "JSON number"),
        (b'"x"', "JSON string"),
        (b"null", "JSON value"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (HEAD, "not JSON"),
    ],
)
def test_what_is_refused_says_what_it_looks_like(raw: bytes, reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        decode_event(raw)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (b'"responseStatus":{"code":"403"}', 403),
        (b'"responseStatus":{"code":403.0}', 403),
        (b'"responseStatus":403', 403),
        (b'"responseStatus":{"code":1e99}', None),
        (b'"responseStatus":{"code":99999999999999999999999999}', None),
        (b'"responseStatus":{"code":true}', None),
        (b'"responseStatus":{"code":"x"}', None),
        (b'"responseStatus":{"code":"nan"}', None),
        (b'"responseStatus":{"code":[]}', None),
    ],
)
def test_a_status_code_is_read_whatever_its_type(members: bytes, expected: int | None) -> None:
    status = event(members).responseStatus
    assert status is not None
    assert status.code == expected


def test_attributes_of_the_wrong_type_are_coerced_or_none() -> None:
    decoded = event(
        b'"requestURI":7,"userAgent":true,"user":"bob","sourceIPs":"10.0.0.1","annotations":{"a":1,"b":null,"c":[]},'
        b'"impersonatedUser":{"groups":["x",null,3],"extra":{"k":"v","n":null,"l":["a"]}},"objectRef":[],"level":{}'
    )
    assert (decoded.requestURI, decoded.userAgent, decoded.sourceIPs) == ("7", "true", ["10.0.0.1"])
    assert decoded.user is not None
    assert decoded.user.username == "bob"
    assert decoded.annotations == {"a": "1"}
    assert decoded.impersonatedUser is not None
    assert decoded.impersonatedUser.groups == ["x", "3"]
    assert decoded.impersonatedUser.extra == {"k": ["v"], "n": None, "l": ["a"]}
    assert decoded.objectRef is None
    assert decoded.level is None


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\udc00x"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"a\x00\nb"'])
def test_broken_text_hides_neither_the_event_nor_its_body(text: bytes) -> None:
    decoded = event(b'"userAgent":' + text + b',"requestObject":{"image":' + text + b"}")
    assert decoded.userAgent
    decoded.userAgent.encode()
    assert decoded.request == {"image": decoded.userAgent}
    assert decoded.as_dict()["verb"] == "get"


def test_a_pair_of_surrogates_is_one_character() -> None:
    decoded = event(b'"userAgent":"\\ud83d\\ude00\\ud800","level":1')
    assert decoded.userAgent == "\U0001f600\ufffd"


def test_the_last_of_duplicate_keys_wins() -> None:
    assert event(b'"verb":"delete","level":1').verb == "delete"
    assert event(b'"verb":"delete"').verb == "delete"


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity"])
def test_numbers_that_json_does_not_have_are_null(number: bytes) -> None:
    assert event(b'"requestObject":{"a":%b,"b":1}' % number).request == {"a": None, "b": 1}


@pytest.mark.parametrize("depth", [150, 400, 3000, 10_000, 50_000])
def test_a_body_nested_deep_keeps_its_envelope(depth: int) -> None:
    decoded = event(b'"requestObject":{"spec":' + b"[" * depth + b"]" * depth + b',"image":"x"},"userAgent":"u"')
    assert decoded.userAgent == "u"
    assert decoded.request["image"] == "x"


def test_pruning_looks_not_into_strings() -> None:
    raw = b'{"a":"[[[{{\\"[","b":' + b"[" * 300 + b'"]"' + b"]" * 300 + b',"c":1}'
    assert prune(raw).endswith(b',"c":1}')
    assert b"null" in prune(raw)
    assert prune(b'{"a":[1]}') == b'{"a":[1]}'


def test_a_record_of_ten_megabytes_is_decoded() -> None:
    decoded = event(b'"responseObject":{"data":"' + b"x" * 10_000_000 + b'"}')
    assert len(decoded.response["data"]) == 10_000_000


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_a_code_is_32_bits_or_none(value: object) -> None:
    number = code(value)
    assert number is None or -(1 << 31) <= number < 1 << 31


@given(st.binary(max_size=200))
def test_no_bytes_make_decoding_raise(raw: bytes) -> None:
    decode(raw)
    decode(HEAD + b"," + raw + b"}")
    decode(b'{"log":"' + raw + b'"}')
