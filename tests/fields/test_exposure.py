"""What writes to Services and Ingresses open."""

from __future__ import annotations

from typing import Any

import pytest

from detector.fields import value_of
from tests.fields.making import event

SPEC = {
    "type": "LoadBalancer",
    "selector": {"app.kubernetes.io/name": "postgres"},
    "ports": [{"port": 80, "targetPort": 5432}, {"port": 5432, "targetPort": "pg"}],
}


def fields(*names: str, **attributes: Any) -> list[Any]:
    written = event(**attributes)
    return [value_of(name, written) for name in names]


def service(**attributes: Any) -> list[Any]:
    return fields("service.exposure", "service.ports", "service.selector", **({"key": "services"} | attributes))


def test_a_new_service_says_how_it_is_reached_and_what_it_leads_to() -> None:
    assert service(verb="create", request={"spec": SPEC}) == [
        "LoadBalancer",
        ["80", "5432", "pg"],
        ["app.kubernetes.io/name=postgres"],
    ]


@pytest.mark.parametrize(
    "patch", [{"spec": {"type": "NodePort"}}, [{"op": "replace", "path": "/spec/type", "value": "NodePort"}]]
)
def test_what_a_patch_leaves_out_comes_from_the_answer(patch: Any) -> None:
    assert service(verb="patch", request=patch, response={"kind": "Service", "spec": SPEC})[0] == "NodePort"
    assert service(verb="patch", request=patch, response={"kind": "Service", "spec": SPEC})[1] == ["80", "5432", "pg"]


def test_an_open_service_pointed_elsewhere_is_still_open() -> None:
    patch = {"spec": {"selector": {"app": "db"}}}
    assert service(verb="patch", request=patch, response={"spec": SPEC})[::2] == ["LoadBalancer", ["app=db"]]


@pytest.mark.parametrize("kind", ["ClusterIP", "ExternalName", None, 7])
def test_a_service_inside_is_not_exposed(kind: Any) -> None:
    assert service(verb="create", request={"spec": {"type": kind, "ports": []}}) == [None, [], []]


@pytest.mark.parametrize(
    "attributes",
    [
        {"verb": "get"},
        {"verb": "create"},
        {"verb": "create", "key": "services/status", "request": {"spec": SPEC}},
        {"verb": "create", "key": "pods", "request": {"spec": SPEC}},
        {"verb": "patch", "response": {"kind": "Status", "spec": SPEC}},
        {"verb": "create", "request": {"spec": "x"}},
    ],
)
def test_nothing_is_known_of_other_requests(attributes: dict[str, Any]) -> None:
    assert service(**attributes) == [None, None, None]


def test_odd_ports_and_selectors_are_passed_over() -> None:
    spec = {"ports": [{"port": True}, {"port": ""}, {"port": [1]}, 5, {"port": 1}], "selector": {"a": 1, "b": "c"}}
    assert service(verb="create", request={"spec": spec}) == [None, ["1"], ["b=c"]]


def backend(name: str) -> dict[str, Any]:
    return {"http": {"paths": [{"backend": {"service": {"name": name}}}, {"backend": {"serviceName": "old"}}]}}


def ingress(**attributes: Any) -> list[Any]:
    return fields("ingress.backends", "ingress.tls", key="ingresses", **attributes)


def test_an_ingress_says_what_it_publishes_and_whether_with_tls() -> None:
    spec = {"defaultBackend": {"service": {"name": "web"}}, "rules": [backend("api"), backend("web"), {"host": "x"}]}
    assert ingress(verb="create", request={"spec": spec}) == [["web", "api", "old"], False]
    assert ingress(verb="update", request={"spec": spec | {"tls": [{}]}}) == [["web", "api", "old"], True]


def test_an_ingress_of_old_names_its_backend_itself() -> None:
    assert ingress(verb="create", request={"spec": {"backend": {"serviceName": "web"}}})[0] == ["web"]


@pytest.mark.parametrize(("patch", "tls"), [({"rules": []}, True), ({"tls": None}, False), ({"tls": []}, False)])
def test_a_patch_of_an_ingress_is_read_with_its_answer(patch: dict[str, Any], tls: bool) -> None:
    answer = {"kind": "Ingress", "spec": {"tls": [{"hosts": ["x"]}], "rules": [backend("api")]}}
    assert ingress(verb="patch", request={"spec": patch}, response=answer) == [["api", "old"], tls]


def test_nothing_is_known_of_an_ingress_without_a_body() -> None:
    assert ingress(verb="create") == [None, None]
