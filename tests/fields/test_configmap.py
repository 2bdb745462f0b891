"""What ConfigMaps should not hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.fields import value_of
from tests.fields.making import event


def found(data: Any, verb: str = "update") -> Any:
    return value_of("configmap.credentials", event(verb, "configmaps", "settings", request={"data": data}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "hunter22"),
        ("db.password", "hunter22"),
        ("dbPassword", "hunter22"),
        ("API-KEY".replace("-", "_"), "4711abcd"),
        ("settings", "AKIAIOSFODNN7EXAMPLE"),
        ("id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"),
        ("tls.key", "-----BEGIN PRIVATE KEY-----\nMII"),
        ("DATABASE_URL", "postgres://shop:hunter22@db:5432/shop"),
        ("BROKER", "amqp://guest:guest22@queue"),
        ("settings.yaml", "server: db\n  password: hunter22\n"),
        ("settings.ini", "[db]\npassword = hunter22"),
        ("settings.json", '{"host": "db", "apiKey": "4711abcd"}'),
        ("dotnet", "Server=db;User Id=shop;Password=hunter22;"),
        ("script.sh", "export GITHUB=ghp_0123456789abcdefghijABCDEFGHIJ012345"),
    ],
)
def test_a_credential_is_told_by_its_shape_or_its_name(name: str, value: str) -> None:
    assert found({"other": "x", name: value}) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "${DB_PASSWORD}"),
        ("DB_PASSWORD", "/run/secrets/db"),
        ("DB_PASSWORD", "vault:secret/data/db#password"),
        ("DB_PASSWORD", "{{ .password }}"),
        ("DB_PASSWORD", ""),
        ("require_password", "true"),
        ("password_min_length", "twelve"),
        ("settings.yaml", "password_file: /run/secrets/db\npassword: $DB_PASSWORD\n# password: hunter22\n"),
        ("settings.ini", ";admin_password = admin1"),
        ("run.py", 'password = os.environ["DB_PASSWORD"]'),
        ("ca.crt", "-----BEGIN CERTIFICATE-----\nMII"),
        ("DATABASE_URL", "postgres://db:5432/shop"),
        ("DATABASE_URL", "postgres://shop:${PASSWORD}@db/shop"),
        ("README", "The password is in the vault."),
    ],
)
def test_what_only_says_where_a_credential_is_does_not_count(name: str, value: str) -> None:
    assert found({name: value}) == []


def test_every_kind_of_write_counts() -> None:
    patch = event("patch", "configmaps", "x", request=[{"op": "add", "path": "/data/API_KEY", "value": "4711abcd"}])
    assert value_of("configmap.credentials", patch) == ["API_KEY"]
    assert found({"API_KEY": "4711abcd"}, "create") == ["API_KEY"]


def test_other_requests_have_none() -> None:
    assert value_of("configmap.credentials", event("update", "secrets", request={"data": {"password": "x"}})) is None
    assert value_of("configmap.credentials", event("update", "configmaps")) is None
    assert found({"API_KEY": "4711abcd"}, "get") is None


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_data_can_be_looked_at(data: Any) -> None:
    assert isinstance(found(data), list)


@pytest.mark.parametrize("piece", ["password", "a.", ";a", "x://y:", "-eyJaaaaaaaa", "secretkeysecret_", '{"'])
def test_long_values_cost_no_more_than_their_length(piece: str) -> None:
    assert found({"settings": piece * 30_000}) == []
