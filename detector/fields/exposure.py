"""What a write opens to the outside: how a Service is reached and what it leads to, and what an Ingress publishes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detector.event import Event
from detector.fields.body import dig, elements, mapping, text
from detector.fields.registry import derived
from detector.fields.request import answered, key, stated

_OUTSIDE = ("NodePort", "LoadBalancer")


def _written(event: Event, kind: str) -> list[dict[str, Any]]:
    """Give the specs a write to this kind shows, the stated one first; a patch's answer has what it leaves out."""
    if key(event) != kind:
        return []
    bodies = [stated(event), answered(event) if event.verb == "patch" else None]
    return [spec for body in bodies if (spec := mapping(dig(body, "spec")))]


def _first(specs: list[dict[str, Any]], name: str) -> Any:
    return next((spec[name] for spec in specs if spec.get(name) is not None), None)


@derived("service.exposure", "text")
def service_exposure(event: Event) -> str | None:
    """How the Service that a write leaves behind is reached from outside: NodePort or LoadBalancer; null otherwise.

    What a patch does not say of the type comes from the answer, so that opening a Service and pointing an open one
    elsewhere are the same. Null without a body.
    """
    kind = text(_first(_written(event, "services"), "type"))
    return kind if kind in _OUTSIDE else None


@derived("service.ports", "list of text")
def service_ports(event: Event) -> list[str] | None:
    """The ports of a written Service and the ports of the pods they lead to, numbers and names, each once, as texts.

    Where a patch states none, those of the answer. Null when there is no body and for other requests.
    """
    specs = _written(event, "services")
    return list(dict.fromkeys(_ports(elements(_first(specs, "ports"))))) if specs else None


def _ports(ports: list[dict[str, Any]]) -> Iterable[str]:
    for port in ports:
        for value in (port.get("port"), port.get("targetPort")):
            if isinstance(value, int | str) and not isinstance(value, bool) and value != "":
                yield str(value)


@derived("service.selector", "list of text")
def service_selector(event: Event) -> list[str] | None:
    """The labels by which a written Service finds its pods, as KEY=VALUE; where a patch states none, the answer's.

    Null when there is no body and for other requests.
    """
    specs = _written(event, "services")
    labels = mapping(_first(specs, "selector"))
    return [f"{name}={value}" for name, value in labels.items() if isinstance(value, str)] if specs else None


@derived("ingress.backends", "list of text")
def ingress_backends(event: Event) -> list[str] | None:
    """The Services that a written Ingress publishes, each once; where a patch states none, those of the answer.

    Null when there is no body and for other requests.
    """
    specs = _written(event, "ingresses")
    return next((found for spec in specs if (found := _backends(spec))), []) if specs else None


def _backends(spec: dict[str, Any]) -> list[str]:
    paths = [path for rule in elements(spec.get("rules")) for path in elements(dig(rule, "http", "paths"))]
    # Until Kubernetes 1.18 (v1beta1) the default was called backend, and a backend named its service itself.
    places = [spec.get("defaultBackend"), spec.get("backend"), *(path.get("backend") for path in paths)]
    names = [text(dig(place, "service", "name")) or text(dig(place, "serviceName")) for place in places]
    return list(dict.fromkeys(name for name in names if name))


@derived("ingress.tls", "boolean")
def ingress_tls(event: Event) -> bool | None:
    """Whether the Ingress that a write leaves behind has TLS; what a patch leaves out comes from the answer.

    Null when there is no body and for other requests.
    """
    specs = _written(event, "ingresses")
    if not specs:
        return None
    return bool(specs[0]["tls"] if "tls" in specs[0] else specs[-1].get("tls"))
