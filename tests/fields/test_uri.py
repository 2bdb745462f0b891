"""What a request's address says."""

from __future__ import annotations

from time import perf_counter

import pytest

from detector.event import Event
from detector.fields import value_of
from tests.fields.making import event

POD = "/api/v1/namespaces/shop/pods/api-0"
SCRIPT = "if [ -x /usr/local/bin/bash ]; then exec /usr/local/bin/bash; else exec /bin/sh; fi"
WEBSOCKET = event(
    "get",
    "pods/exec",
    "api-0",
    requestURI=f"{POD}/exec?command=sh&command=-c&command=ip+route&container=calico&stdout=true&stderr=true",
)
SPDY = event(
    "create",
    "pods/exec",
    "api-0",
    requestURI=f"{POD}/exec?command=sh&command=-c&command=if+%5B+-x+%2Fusr%2Flocal%2Fbin%2Fbash+%5D%3B+then+exec+%2Fusr"
    "%2Flocal%2Fbin%2Fbash%3B+else+exec+%2Fbin%2Fsh%3B+fi&container=build&stdin=true&stdout=true&stderr=true",
)


def test_exec_by_websocket_is_a_get() -> None:
    assert value_of("exec.argv", WEBSOCKET) == ["sh", "-c", "ip route"]
    assert value_of("exec.command", WEBSOCKET) == "sh -c ip route"
    assert value_of("exec.head", WEBSOCKET) == "sh"
    assert value_of("exec.container", WEBSOCKET) == "calico"
    assert value_of("exec.stdin", WEBSOCKET) is False
    assert value_of("exec.tty", WEBSOCKET) is False


def test_exec_by_spdy_is_a_create() -> None:
    assert value_of("exec.command", SPDY) == f"sh -c {SCRIPT}"
    assert value_of("exec.stdin", SPDY) is True


def test_names_of_parameters_are_decoded_as_the_api_server_does() -> None:
    hidden = event("get", "pods/exec", requestURI=f"{POD}/exec?%63ommand=id")
    assert value_of("exec.command", hidden) == "id"


@pytest.mark.parametrize(
    ("program", "head"),
    [("%2Fbin%2Fbash", "bash"), ("C:%5CWindows%5Ccmd.exe", "cmd.exe"), ("sh", "sh"), ("%2F", None), ("", None)],
)
def test_the_head_of_a_command_has_no_directory(program: str, head: str | None) -> None:
    assert value_of("exec.head", event("get", "pods/exec", requestURI=f"{POD}/exec?command={program}")) == head


def test_attach_runs_no_command() -> None:
    attach = event("get", "pods/attach", requestURI=f"{POD}/attach?command=sh&container=c&stdin=true&tty=1")
    assert value_of("exec.argv", attach) is None
    assert value_of("exec.command", attach) is None
    assert value_of("exec.head", attach) is None
    assert value_of("exec.container", attach) == "c"
    assert value_of("exec.tty", attach) is True


@pytest.mark.parametrize(("value", "on"), [("true", True), ("", True), ("yes", True), ("0", False), ("FALSE", False)])
def test_switches_are_read_as_the_api_server_reads_them(value: str, on: bool) -> None:
    assert value_of("exec.tty", event("get", "pods/exec", requestURI=f"{POD}/exec?tty={value}")) is on


def test_other_requests_are_no_exec() -> None:
    log = event("get", "pods/log", requestURI=f"{POD}/log?container=c&command=sh")
    assert {value_of(f"exec.{part}", log) for part in ("command", "head", "container", "stdin", "tty")} == {None}
    assert value_of("exec.argv", event("get", "things/exec", requestURI="/x?command=sh")) is None


def node_proxy(path: str, verb: str = "get") -> Event:
    return event(verb, "nodes/proxy", "worker-1", requestURI=f"/api/v1/nodes/worker-1/proxy{path}")


def test_a_command_through_the_kubelet_is_an_exec_too() -> None:
    run = node_proxy("/run/kube-system/etcd-0/etcd?cmd=cat%20/etc/shadow", "create")
    assert value_of("exec.argv", run) == ["cat", "/etc/shadow"]
    assert value_of("exec.container", run) == "etcd"
    session = node_proxy("/exec/kube-system/etcd-0/etcd?command=sh&input=1&output=1&tty=1")
    assert value_of("exec.command", session) == "sh"
    assert (value_of("exec.stdin", session), value_of("exec.tty", session)) == (True, True)
    assert value_of("exec.argv", node_proxy("/pods?command=sh")) is None


@pytest.mark.parametrize(
    ("path", "seen"), [("/pods", "/pods"), ("", "/"), ("/", "/"), ("/logs/%2e%2e/x", "/logs/../x"), ("/a//b", "/a//b")]
)
def test_the_path_behind_a_node_proxy(path: str, seen: str) -> None:
    assert value_of("proxy.path", node_proxy(path)) == seen


def test_the_path_behind_a_pod_or_service_proxy() -> None:
    pod = event("get", "pods/proxy", requestURI="/api/v1/namespaces/shop/pods/https:api-0:8443/proxy/admin?x=1")
    assert value_of("proxy.path", pod) == "/admin"
    service = event("get", "services/proxy", requestURI="/api/v1/namespaces/shop/services/proxy/proxy/proxy/x")
    assert value_of("proxy.path", service) == "/proxy/x"
    assert value_of("proxy.path", event("get", "pods", requestURI=POD)) is None


def test_a_path_is_decoded_once() -> None:
    twice = event(requestURI="/api/v1/%252e%252e/%73ecrets?x=%2F")
    assert value_of("uri.path", twice) == "/api/v1/%2e%2e/secrets"
    assert value_of("uri.query", twice) == {"x": ["/"]}


def test_without_an_address_nothing_is_known() -> None:
    assert value_of("uri.path", event()) is None
    assert value_of("uri.query", event()) is None
    assert value_of("uri.query", event(requestURI="/version")) is None


def test_undecodable_bytes_do_not_hurt() -> None:
    assert value_of("uri.path", event(requestURI="/%ff%00%")) == "/�\x00%"


def listing(query: str, verb: str = "list") -> Event:
    return event(verb, "secrets", requestURI=f"/api/v1/namespaces/shop/secrets?{query}")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("fieldSelector=metadata.name%3Ddb-credentials", "db-credentials"),
        ("fieldSelector=metadata.name=db-credentials&limit=500", "db-credentials"),
        ("limit=1&%66ieldSelector=metadata.name%3D%3Ddb-credentials", "db-credentials"),
        ("fieldSelector=type%3DOpaque%2Cmetadata.name%3Da%5C%2Cb", "a,b"),
        ("fieldSelector=metadata.name%21%3Ddb-credentials", None),
        ("fieldSelector=metadata.namespace%3Dshop", None),
        ("limit=500", None),
    ],
)
def test_a_field_selector_asks_for_one_name(query: str, name: str | None) -> None:
    assert value_of("selector.name", listing(query)) == name
    assert value_of("object.name", listing(query)) == name


def test_of_several_field_selectors_the_first_counts() -> None:
    both = listing("fieldSelector=metadata.name%3Da&fieldSelector=metadata.name%3Db")
    assert value_of("selector.fields", both) == ["metadata.name=a"]
    hidden = listing("fieldSelector=&fieldSelector=metadata.name%3Db")
    assert value_of("selector.fields", hidden) is None
    assert value_of("selector.name", hidden) is None


@pytest.mark.parametrize(
    ("verb", "query", "oneoff"),
    [
        ("list", "", True),
        ("list", "limit=500", True),
        ("list", "limit=500&resourceVersion=", True),
        ("list", "resourceVersion=&resourceVersion=1200", True),
        ("list", "resourceVersion=0", True),
        ("list", "resourceVersion=0&limit=0", True),
        ("list", "resourceVersion=0&limit=500", False),
        ("list", "resourceVersion=1200", False),
        ("watch", "watch=1", True),
        ("watch", "watch=1&resourceVersion=0", True),
        ("watch", "watch=1&sendInitialEvents=false", True),
        ("watch", "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", False),
        ("watch", "watch=1&resourceVersion=1200", False),
        ("get", "resourceVersion=0", None),
    ],
)
def test_an_informer_lists_and_watches_in_its_own_way(verb: str, query: str, oneoff: bool | None) -> None:
    asked = event(verb, "secrets", requestURI=f"/api/v1/secrets?{query}")
    assert value_of("list.oneoff", asked) is oneoff


def test_selectors_are_shown_decoded() -> None:
    pods = listing("fieldSelector=spec.nodeName%3Dn1,status.phase%21%3DFailed&labelSelector=app%20in%20(a,b)")
    assert value_of("selector.fields", pods) == ["spec.nodeName=n1", "status.phase!=Failed"]
    assert value_of("selector.labels", pods) == "app in (a,b)"
    assert value_of("selector.fields", listing("limit=1")) is None


@pytest.mark.parametrize(
    "query",
    [
        "command=x" + "&a=b" * 300_000,
        "fieldSelector=" + "a" * 1_000_000,
        "fieldSelector=" + "%5C" * 300_000,
        "%" * 1_000_000,
        "command=" + "%41" * 300_000,
    ],
)
def test_a_megabyte_of_address_is_bounded_and_marked(query: str) -> None:
    padded = event("get", "pods/exec", requestURI=f"{POD}/exec?{query}")
    start = perf_counter()
    for name in ("uri.query", "selector.name", "selector.fields", "exec.command"):
        value_of(name, padded)
    assert perf_counter() - start < 1
    assert value_of("truncated", padded) is True
