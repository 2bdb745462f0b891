"""The settings: which source wins, what is refused, and where it is said to be."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.config import Settings, load
from detector.errors import ConfigError


def written(folder: Path, settings: dict[str, Any] | str) -> Path:
    path = folder / "redshank.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
    return path


def refused(folder: Path, settings: dict[str, Any] | str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, settings))
    return str(caught.value)


def test_without_anything_it_listens_on_loopback_and_prints_alerts() -> None:
    settings = load()
    assert settings.webhook.listen == "127.0.0.1:8889"
    assert settings.web.listen == "127.0.0.1:9090"
    assert [(sink.name, type(sink).model_fields["type"].default) for sink in settings.sinks] == [("stdout", "stdout")]


def test_flags_win_over_the_environment_over_the_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(
        tmp_path, {"data_dir": "/file", "webhook": {"listen": "127.0.0.1:1", "max_connections": 7}, "stop_within": "3s"}
    )
    assert load(file).data_dir == Path("/file")
    monkeypatch.setenv("REDSHANK_DATA_DIR", "/environment")
    monkeypatch.setenv("REDSHANK_WEBHOOK__LISTEN", "127.0.0.1:2")
    settings = load(file, {"data_dir": "/flag"})
    assert settings.data_dir == Path("/flag")
    assert (settings.webhook.listen, settings.webhook.max_connections) == ("127.0.0.1:2", 7)
    assert settings.stop_within == timedelta(seconds=3)


def test_the_state_goes_where_systemd_or_xdg_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert load().data_dir == Path("/xdg/redshank")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/redshank:/other")
    assert load().data_dir == Path("/var/lib/redshank")


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        ("webhook:\n  max_body: many\n", ":2:3:", "webhook.max_body"),
        ("data_dir: /x\nwebhok: {}\n", ":2:1:", "webhok"),
        ("sinks:\n- name: a\n  type: http\n  url: http://h/\n- name: a\n  type: stdout\n", ":1:1:", "same name"),
        ("sinks:\n- name: a\n  type: pigeon\n", ":2:3:", "pigeon"),
        ("sinks:\n- name: a\n  type: http\n", ":2:3:", "give url"),
        ("rules:\n  builtin: false\n", "", "no rules to run"),
        ("a: [\n", ":2:1:", "not YAML"),
        ("- a\n", ":1:1:", "a mapping"),
        ("store:\n  journal_limit: 3\n", ":2:3:", "store.journal_limit"),
        ("webhook:\n  listen: 0.0.0.0:8889\n", ":1:1:", "insecure"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, settings: str, place: str, said: str) -> None:
    told = refused(tmp_path, settings)
    assert f"redshank.yaml{place}" in told or not place
    assert said in told


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    assert len(refused(tmp_path, "log:\n  level: loud\nweb:\n  listen: here\n").splitlines()) == 2


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSHANK_WEBHOOK__MAX_BODY", "many")
    with pytest.raises(ConfigError, match="REDSHANK_WEBHOOK__MAX_BODY"):
        load()
    monkeypatch.setenv("REDSHANK_SINKS", "not json")
    with pytest.raises(ConfigError, match="environment"):
        load()


def test_what_looks_like_a_date_and_is_none_is_refused(tmp_path: Path) -> None:
    assert "not YAML" in refused(tmp_path, "data_dir: 2001-13-45\n")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "none.yaml")


def test_secrets_are_not_repeated_in_messages(tmp_path: Path) -> None:
    told = refused(
        tmp_path, "sinks:\n- {name: a, type: splunk, url: 'http://h/', token: [hunter2]}\nweb: {tokens: [hunter2]}\n"
    )
    assert "hunter2" not in told


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert Settings.model_json_schema()["properties"]["webhook"]


def test_a_key_that_stands_twice_is_refused_wherever_it_does(tmp_path: Path) -> None:
    said = refused(tmp_path, "log:\n  level: info\nweb: {listen: ':1', listen: ':2'}\nlog:\n  level: debug\n")
    assert said.splitlines() == [
        f"{tmp_path}/redshank.yaml:4:1: log stands twice",
        f"{tmp_path}/redshank.yaml:3:21: listen stands twice",
    ]


def test_an_alias_is_no_key_that_stands_twice(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, "webhook: &one {head_timeout: 7s}\nweb: *one\n"))
    assert loaded.web.head_timeout == timedelta(seconds=7)


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    assert "rules.paths" in refused(tmp_path, "rules: {paths: &a [*a]}\n")


@pytest.mark.parametrize(
    ("every", "fine"), [("1s", True), ("10m", True), ("0s", False), ("500ms", False), ("1h", False)]
)
def test_snapshots_are_neither_too_rare_nor_too_many(tmp_path: Path, every: str, *, fine: bool) -> None:
    settings = {"store": {"snapshot_every": every}}
    if fine:
        load(written(tmp_path, settings))
    else:
        assert "store.snapshot_every" in refused(tmp_path, settings)


def test_a_path_that_cannot_be_blanked_is_told_with_its_place(tmp_path: Path) -> None:
    said = refused(tmp_path, {"redaction": {"paths": ["requestObject.data.*", "objectRef.nam"]}})
    assert said.startswith(f"{tmp_path / 'redshank.yaml'}:")
    assert "redaction.paths: 'objectRef.nam' names no text: objectRef has resource, namespace, name" in said
