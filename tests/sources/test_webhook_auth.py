"""Which cluster a request is of, who may say so, and settings that would let anybody in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from detector.listen import hash_token
from detector.sources.webhook import ClusterSettings, WebhookSettings
from detector.sources.webhook.auth import MAX_CLUSTERS, Credentials, RefusedError, cluster_of
from detector.sources.webhook.settings import is_cluster_name

ANYWHERE = "[::]:8889"
TLS = {"cert": "/c.pem", "key": "/k.pem", "client_ca": "/ca.pem"}
TOKEN = {"tokens": [hash_token("t-prod")]}
CLUSTERS = {
    "prod": ClusterSettings(tokens=[hash_token("t-prod"), hash_token("t-prod-2")]),
    "stage": ClusterSettings(tokens=[hash_token("t-stage")], certificate_names=["api.stage"]),
    "edge": ClusterSettings(certificate_names=["api.edge", "api.both"]),
    "lab": ClusterSettings(),
}


def shown(token: str | None = None, *names: str) -> Credentials:
    return Credentials(None if token is None else f"Bearer {token}", frozenset(names))


def refused(path: str, credentials: Credentials, clusters: dict[str, ClusterSettings] = CLUSTERS) -> int:
    with pytest.raises(RefusedError) as caught:
        cluster_of(path, credentials, clusters, ())
    return caught.value.answer.status


@pytest.mark.parametrize(
    ("path", "credentials", "cluster"),
    [
        ("/audit/prod", shown("t-prod"), "prod"),
        ("/audit/prod", shown("t-prod-2"), "prod"),
        ("/audit", shown("t-prod"), "prod"),
        ("/audit/", shown("t-prod"), "prod"),
        ("/audit/stage", shown("t-stage"), "stage"),
        ("/audit/stage", shown(None, "api.stage"), "stage"),
        ("/audit/stage", shown("wrong", "api.stage"), "stage"),
        ("/audit/edge", shown(None, "other", "api.edge"), "edge"),
        ("/audit", shown(None, "api.both"), "edge"),
        ("/audit/lab", shown(), "lab"),
        ("/audit", shown(), "lab"),
    ],
)
def test_a_credential_opens_its_cluster(path: str, credentials: Credentials, cluster: str) -> None:
    assert cluster_of(path, credentials, CLUSTERS, ()) == cluster


@pytest.mark.parametrize(
    ("path", "credentials", "status"),
    [
        ("/audit/prod", shown(), 401),
        ("/audit/prod", shown("wrong"), 401),
        ("/audit/prod", shown(None, "prod", "api.prod"), 401),
        ("/audit/lab", shown("wrong"), 401),
        ("/audit", shown("wrong"), 401),
        ("/audit/prod", shown("t-stage"), 403),
        ("/audit/prod", shown(None, "api.edge"), 403),
        ("/audit/edge", shown("t-prod"), 403),
        ("/audit/none", shown("t-prod"), 404),
        ("/audit/none", shown("wrong"), 401),
        ("/audit", shown("t-prod", "api.edge"), 400),
    ],
)
def test_a_credential_opens_nothing_else(path: str, credentials: Credentials, status: int) -> None:
    assert refused(path, credentials) == status


def test_names_of_clusters_cannot_be_guessed_without_a_credential() -> None:
    closed = {name: one for name, one in CLUSTERS.items() if not one.open}
    answers = {refused(f"/audit/{name}", shown("wrong"), closed) for name in ("prod", "none")}
    assert answers == {401}


@pytest.mark.parametrize(
    "path", ["/", "/audi", "/audit/a/b", "/x/audit", "/audit/-a", "/audit/a b", "/audit/" + "a" * 101]
)
def test_other_paths_are_not_found(path: str) -> None:
    assert refused(path, shown("t-prod")) == 404


def test_without_configured_clusters_the_path_says_it() -> None:
    assert cluster_of("/audit", shown(), {}, ()) == "default"
    assert cluster_of("/audit/any-One.2_3", shown(), {}, ()) == "any-One.2_3"


def test_without_configured_clusters_there_are_only_so_many() -> None:
    taken = [f"c{number}" for number in range(MAX_CLUSTERS)]
    assert cluster_of("/audit/c5", shown(), {}, taken) == "c5"
    with pytest.raises(RefusedError, match="configure"):
        cluster_of("/audit/one-more", shown(), {}, taken)


@given(st.text())
def test_any_path_gives_a_name_or_is_refused(text: str) -> None:
    try:
        assert is_cluster_name(cluster_of(f"/audit/{text}", shown(), {}, ()))
    except RefusedError as refusal:
        assert refusal.answer.status == 404  # noqa: PT017


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"listen": ANYWHERE}, "TLS"),
        ({"listen": ANYWHERE, "clusters": {"prod": TOKEN}}, "TLS"),
        ({"listen": ANYWHERE, "tls": TLS}, "anybody may post"),
        ({"listen": ANYWHERE, "tls": TLS, "clusters": {"prod": TOKEN, "lab": {}}}, "anybody may post"),
        ({"clusters": {"prod": {"certificate_names": ["api"]}}}, "client_ca"),
        ({"clusters": {"pr/od": TOKEN}}, "cluster's name"),
        ({"clusters": {"prod": {"tokens": ["t-prod"]}}}, "by its hash"),
        ({"max_body": "300MiB"}, "max_buffered"),
        ({"max_body": 0}, "max_body"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_of_no_use_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        WebhookSettings.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"listen": "[::1]:1"},
        {"listen": ANYWHERE, "insecure": True},
        {"listen": ANYWHERE, "tls": TLS, "clusters": {"prod": TOKEN, "edge": {"certificate_names": ["api"]}}},
        {"max_body": "8MB", "read_timeout": 5},
    ],
)
def test_settings_of_use_are_taken(settings: dict[str, Any]) -> None:
    WebhookSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("clusters", "required"),
    [
        ({}, False),
        ({"a": TOKEN}, False),
        ({"a": {"certificate_names": ["x"]}}, True),
        ({"a": {"certificate_names": ["x"], **TOKEN}}, False),
        ({"a": {"certificate_names": ["x"]}, "b": TOKEN}, False),
    ],
)
def test_a_certificate_is_required_where_nothing_else_would_do(clusters: dict[str, Any], required: bool) -> None:
    assert WebhookSettings.model_validate({"tls": TLS, "clusters": clusters}).certificate_required is required
