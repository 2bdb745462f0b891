"""What single wrappings make of their records, beyond the examples of the contract suite."""

from __future__ import annotations

import base64
import csv
import gzip
import json
from io import BytesIO, StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.event import Event
from detector.formats import decode, decode_batch, read
from detector.formats.unwrap import MAX_WRAPPINGS
from detector.formats.wrappings.base import inflate
from detector.formats.wrappings.gke import HTTP_CODES

AUDIT: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "auditID": "a1",
    "stage": "ResponseComplete",
    "verb": "get",
}
TEXT = json.dumps(AUDIT)


def one(value: Any) -> Event:
    (event,) = decode(value if isinstance(value, bytes) else json.dumps(value).encode())
    assert isinstance(event, Event)
    return event


def entry(name: str, method: str = "io.k8s.core.v1.pods.get", **payload: Any) -> dict[str, Any]:
    return {
        "insertId": "i1",
        "protoPayload": {"serviceName": "k8s.io", "methodName": method, "resourceName": name, **payload},
        "receiveTimestamp": "2026-03-02T09:00:05Z",
        "timestamp": "2026-03-02T09:00:00Z",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("core/v1/namespaces/d/pods/p", ("", "pods", "d", "p", None)),
        ("core/v1/namespaces/d/pods", ("", "pods", "d", None, None)),
        ("core/v1/namespaces/d/pods/p/exec", ("", "pods", "d", "p", "exec")),
        ("core/v1/namespaces/d/services/s/proxy/a/b", ("", "services", "d", "s", "proxy/a/b")),
        ("core/v1/namespaces/d", ("", "namespaces", "d", "d", None)),
        ("core/v1/namespaces", ("", "namespaces", None, None, None)),
        ("core/v1/namespaces/d/finalize", ("", "namespaces", "d", "d", "finalize")),
        ("core/v1/nodes/n", ("", "nodes", None, "n", None)),
        ("core/v1/nodes/n/proxy", ("", "nodes", None, "n", "proxy")),
        ("rbac.authorization.k8s.io/v1/clusterroles", ("rbac.authorization.k8s.io", "clusterroles", None, None, None)),
        ("apps/v1/namespaces/d/deployments/x/scale", ("apps", "deployments", "d", "x", "scale")),
    ],
)
def test_gke_names_are_taken_apart(name: str, expected: tuple[str | None, ...]) -> None:
    ref = one(entry(name)).objectRef
    assert ref is not None
    assert (ref.apiGroup or "", ref.resource, ref.namespace, ref.name, ref.subresource) == expected
    assert ref.apiVersion == "v1"


def test_gke_paths_are_those_of_the_api() -> None:
    assert one(entry("core/v1/namespaces/d/pods/p")).requestURI == "/api/v1/namespaces/d/pods/p"
    assert one(entry("apps/v1/deployments")).requestURI == "/apis/apps/v1/deployments"
    assert one(entry("healthz")).requestURI == "/healthz"
    assert one(entry("healthz")).objectRef is None


@pytest.mark.parametrize(("grpc", "http"), [(0, 200), (7, 403), (16, 401), (5, 404), (6, 409), (3, 400), (99, 500)])
def test_gke_statuses_are_those_of_http(grpc: int, http: int) -> None:
    status = one(entry("core/v1/pods", status={"code": grpc, "message": "m"})).responseStatus
    assert status is not None
    assert status.code == http


def test_gke_denied_without_a_status_does_not_look_allowed() -> None:
    event = one(entry("core/v1/pods", authorizationInfo=[{"granted": True}, {"granted": False}]))
    assert event.annotations == {"authorization.k8s.io/decision": "forbid"}
    assert event.responseStatus is not None
    assert event.responseStatus.code == 403
    assert len(HTTP_CODES) == 16


def test_gke_who_when_and_from_where() -> None:
    event = one(
        entry(
            "core/v1/namespaces/d/pods/p",
            "io.k8s.core.v1.pods.create",
            authenticationInfo={"principalEmail": "", "principalSubject": "principal://x"},
            requestMetadata={"callerIp": "198.51.100.23", "callerSuppliedUserAgent": "kubectl"},
            request={"spec": {}},
        )
    )
    assert event.user is not None
    assert event.user.username == "principal://x"
    assert (event.sourceIPs, event.userAgent, event.verb) == (["198.51.100.23"], "kubectl", "create")
    assert (event.stageTimestamp, event.auditID) == ("2026-03-02T09:00:00Z", "i1")
    assert event.request == {"spec": {}}
    assert event.responseStatus is not None
    assert event.responseStatus.code == 201


@pytest.mark.parametrize(("written", "body"), [('{"spec":{}}', {"spec": {}}), ("{damaged", "{damaged")])
def test_a_row_of_bigquery_is_a_log_entry(written: str, body: Any) -> None:
    payload = {"methodName": "io.k8s.core.v1.pods.create", "resourceName": "core/v1/pods", "requestJson": written}
    event = one({"protopayload_auditlog": payload, "timestamp": "2026-03-02 09:00:00 UTC"})
    assert (event.request, event.level, event.verb) == (body, "RequestResponse", "create")
    assert event.time == one(entry("core/v1/pods")).time


def test_rows_of_the_log_analytics_api_are_read_by_their_columns() -> None:
    columns = [{"name": name} for name in ("AuditId", "RequestUri", "Verb")]
    batch = decode_batch(json.dumps({"tables": [{"columns": columns, "rows": [["a", "/x", "get"], 7]}, {}]}).encode())
    assert [(event.auditID, event.requestURI, event.verb) for event in batch.events] == [("a", "/x", "get")]
    assert len(batch.rejected) == 2


def test_a_native_event_inside_cloud_logging_is_found() -> None:
    assert one({"logName": "x", "resource": {}, "jsonPayload": AUDIT}).auditID == "a1"
    assert decode_batch(b'{"logName":"x","resource":{},"textPayload":"hello"}').rejected
    assert decode_batch(b'{"logName":"x","resource":{}}').skipped == 1


def test_aks_table_rows_keep_what_was_not_too_big() -> None:
    event = one(
        {
            "AuditId": "a1",
            "RequestUri": "/api",
            "Verb": "create",
            "User": '{"username":"bob","groups":["g"]}',
            "ObjectRef": "{damaged",
            "RequestObject": "skipped-too-big-size-object",
            "ResponseObject": '{"kind":"Pod"}',
            "SourceIps": '["10.1.2.3"]',
        }
    )
    assert event.user is not None
    assert event.user.groups == ["g"]
    assert (event.objectRef, event.request, event.response) == (None, None, {"kind": "Pod"})
    assert event.sourceIPs == ["10.1.2.3"]


def test_elastic_annotation_names_get_their_dots_back() -> None:
    event = one({"kubernetes": {"audit": AUDIT | {"annotations": {"authorization_k8s_io/decision": "allow"}}}})
    assert event.annotations == {"authorization.k8s.io/decision": "allow"}


def test_an_event_given_twice_by_a_shipper_counts_once() -> None:
    assert one({"log": TEXT, "parsed": AUDIT}).auditID == "a1"
    assert one({"log": TEXT, **AUDIT}).auditID == "a1"


@pytest.mark.parametrize("key", ["log", "message", "event", "data", "payload", "@message", "_source"])
def test_wrappings_inside_one_another_are_undone(key: str) -> None:
    assert one({key: json.dumps({"message": json.dumps({"log": TEXT + "\n"})})}).auditID == "a1"
    assert one({key: {"event": {"log": "<110>1 x y " + TEXT}}}).auditID == "a1"


def test_too_many_wrappings_are_refused() -> None:
    value: Any = AUDIT
    for _ in range(MAX_WRAPPINGS + 1):
        value = {"event": value}
    assert [rejected.reason for rejected in decode_batch(json.dumps(value).encode()).rejected] == [
        "too many wrappings inside one another"
    ]
    arrays = b"[" * 500 + b"]" * 500
    assert decode_batch(arrays).rejected[0].reason == "too many wrappings inside one another"


def test_one_bad_item_costs_no_neighbour() -> None:
    items = [AUDIT, 7, None, {"kind": "Pod", "apiVersion": "v1"}, AUDIT | {"responseStatus": "x"}, [AUDIT]]
    batch = decode_batch(json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items}).encode())
    assert (len(batch.events), len(batch.rejected)) == (3, 3)
    records = [{"category": "kube-audit", "properties": {"log": log}} for log in (TEXT, "{", None, TEXT)]
    batch = decode_batch(json.dumps({"records": records}).encode())
    assert (len(batch.events), len(batch.rejected)) == (2, 2)


def test_an_item_over_the_limit_is_refused_and_blank_input_is_skipped() -> None:
    assert decode_batch(TEXT.encode(), limit=10).rejected[0].reason == "over the size limit"
    assert decode_batch(b" \n").skipped == 1


def test_cloudtrail_in_records_is_named() -> None:
    batch = decode_batch(b'{"Records":[{"eventSource":"x","eventName":"y","awsRegion":"z"}]}')
    assert "CloudTrail" in batch.rejected[0].reason


def test_compressed_parts_are_bounded() -> None:
    bomb = gzip.compress(b"\0" * (65 << 20))
    data = base64.b64encode(bomb).decode()
    assert decode_batch(json.dumps({"awslogs": {"data": data}}).encode()).rejected[0].reason == (
        "compressed part over the size limit"
    )
    assert inflate(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"


@pytest.mark.parametrize("data", ["!", base64.b64encode(gzip.compress(b"x" * 99)[:-9]).decode(), "H4sIAAAA////", 7])
def test_damaged_parts_are_refused(data: Any) -> None:
    assert decode_batch(json.dumps({"awslogs": {"data": data}}).encode()).rejected


def rows(*cells: list[str], quoting: Any = csv.QUOTE_MINIMAL) -> bytes:
    text = StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(cells)
    return text.getvalue().encode()


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("order", [1, -1], ids=["time first", "message first"])
def test_an_export_of_logs_insights_is_read_row_by_row(quoting: Any, order: int) -> None:
    trap = json.dumps(AUDIT | {"userAgent": 'a","{""x"', "requestURI": "/api?a=1,2"})
    table = [["2026-03-02 09:00:00.000", TEXT], ["2026-03-02 09:00:00.001", trap], ["", "I0302 09:00 started"]]
    data = rows(*[row[::order] for row in [["@timestamp", "@message"], *table]], quoting=quoting)
    (batch,) = read(BytesIO(data))
    assert [event.userAgent for event in batch.events] == [None, 'a","{""x"']
    assert (batch.skipped, [rejected.line for rejected in batch.rejected]) == (1, [4])


@given(st.lists(st.tuples(st.text('ab," {[}]@', max_size=8), st.booleans(), st.booleans())), st.integers(1, 200))
def test_every_line_of_csv_is_an_event_a_refusal_or_skipped(table: list[tuple[str, bool, bool]], chunk: int) -> None:
    cells = [[time, TEXT[: None if whole else -1]][:: 1 if first else -1] for time, whole, first in table]
    batches = list(read(BytesIO(rows(["@timestamp", "@message"], *cells)), chunk=chunk))
    events = sum(len(batch.events) for batch in batches)
    assert events == sum(whole for _, whole, _ in table)
    assert events + sum(len(batch.rejected) + batch.skipped for batch in batches) == len(table) + 1


def test_a_line_of_nothing_but_cells_is_passed_over_quickly() -> None:
    """One by one these would take half a minute."""
    assert decode_batch(b'"{"' + b"," * (60 << 20)).rejected
