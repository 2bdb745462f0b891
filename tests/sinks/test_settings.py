"""Options of sinks: types, secrets, and messages that are fit to be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from detector.errors import ConfigError
from detector.finding import Level, RuleInfo
from detector.sinks import AnySink
from detector.sinks.elasticsearch import ElasticsearchSettings
from detector.sinks.settings import TEST_RULE, LevelName, wants
from detector.sinks.slack import SlackSettings
from detector.sinks.splunk import SplunkSettings
from tests.encodings.making import alert

URL = "https://hooks.slack.com/services/T00000000/B00000000/aVerySecretPath"


def test_levels_go_by_name() -> None:
    levels: TypeAdapter[Level] = TypeAdapter(LevelName)
    assert levels.validate_python("HIGH") is Level.high
    assert levels.dump_python(Level.high) == "high"
    with pytest.raises(ValidationError, match="choose one of"):
        levels.validate_python("huge")
    assert "critical" in levels.json_schema()["enum"]


def test_a_kind_of_sink_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(ValidationError, match=r"(?s)'carrier-pigeon'.*'alertmanager'.*'syslog'"):
        TypeAdapter(AnySink).validate_python({"type": "carrier-pigeon", "name": "a"})


def test_the_schema_of_all_sinks_says_what_a_secret_and_a_level_are() -> None:
    schema = TypeAdapter(AnySink).json_schema(mode="serialization")
    splunk = schema["$defs"]["SplunkSettings"]["properties"]
    assert splunk["token"]["anyOf"][0]["writeOnly"] is True
    assert "critical" in splunk["min_level"]["enum"]
    assert splunk["min_level"]["default"] == "medium"
    assert splunk["expire_after"]["default"] == "3d"


def test_a_secret_file_is_read_whenever_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    settings = SplunkSettings(name="a", url="https://splunk:8088", token_file=path)
    assert settings.secret("token") == "first"
    path.write_text("second\n")
    assert settings.secret("token") == "second"
    assert settings.scrub("second, not first") == "[redacted], not first"


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff\xfe", "not UTF-8 text")])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    settings = SplunkSettings(name="a", url="https://splunk:8088", token_file=path)
    with pytest.raises(ConfigError, match=rf"token_file .*token: {reason}"):
        settings.secret("token")
    assert settings.scrub("fine") == "fine"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SplunkSettings, {"url": "https://s"}, "give token or token_file"),
        (SplunkSettings, {"url": "https://s", "token": "a", "token_file": "b"}, "give token or token_file, not both"),
        (SlackSettings, {}, "give url or url_file"),
        (SlackSettings, {"url": URL, "url_file": "x"}, "give url or url_file, not both"),
        (SlackSettings, {"url": "hooks.slack.com/x"}, "give an address such as https://"),
        (SlackSettings, {"url": "https://hooks.slack.com:99999/x"}, "give an address such as https://"),
        (SlackSettings, {"url": "https://a b/x"}, "give an address such as https://"),
        (SlackSettings, {"url": "file:///etc/passwd"}, "give an address such as https://"),
        (SlackSettings, {"url": "https://jane:hunter2@host/x"}, "in options of their own"),
        (ElasticsearchSettings, {"url": "https://e", "username": "u"}, "together with password"),
        (ElasticsearchSettings, {"url": "https://e", "password": "p"}, "together with password"),
        (
            ElasticsearchSettings,
            {"url": "https://e", "username": "u", "password": "p", "api_key": "k"},
            "username and password, or an API key",
        ),
        (ElasticsearchSettings, {"url": "https://e", "index": "../_all"}, "should match pattern"),
        (SplunkSettings, {"url": "https://s", "token": "a", "name": "A b"}, "should match pattern"),
        (SplunkSettings, {"url": "https://s", "token": "a", "expire_after": "0s"}, "greater than 0"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_reason(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        kind(**{"name": "a", **options})
    assert "hunter2" not in str(caught.value)


def test_a_file_with_a_wrong_address_is_told_of_without_the_address(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("hooks.slack.com/secret-part")
    with pytest.raises(ConfigError, match=r"url_file .*: give an address") as caught:
        SlackSettings(name="a", url_file=path).address()
    assert "secret-part" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"POST {URL} failed",
        "no such webhook: /services/T00000000/B00000000/aVerySecretPath",
        "unknown key aVerySecretPath",
        r"{\"url\": \"https:\/\/hooks.slack.com\/services\/T00000000\/B00000000\/aVerySecretPath\"}",
    ],
)
def test_a_secret_address_is_taken_out_of_messages_in_every_form(text: str) -> None:
    shown = SlackSettings(name="a", url=URL).scrub(text)
    assert "aVerySecretPath" not in shown
    assert "[redacted]" in shown


def test_a_password_is_taken_out_in_the_form_in_which_it_is_sent() -> None:
    settings = ElasticsearchSettings(name="a", url="https://e", username="jane", password="hunter22")
    sent = settings.authorization()["Authorization"]
    assert sent == "Basic amFuZTpodW50ZXIyMg=="
    assert settings.scrub(f"{sent} hunter22") == "Basic [redacted] [redacted]"


def test_messages_are_one_line_not_long_and_without_control_characters() -> None:
    shown = SlackSettings(name="a", url=URL).scrub("a\x1b[31m\r\n\u202eb" + "c" * 10_000)
    assert shown.startswith("a\\x1b[31m \\u202ebccc")
    assert len(shown) == 500


def test_tiny_secrets_do_not_blank_everything() -> None:
    settings = SplunkSettings(name="a", url="https://s", token="e")
    assert settings.scrub("here we are") == "here we are"


@pytest.mark.parametrize(("rule", "heard"), [(TEST_RULE, True), ("another", False)])
def test_the_alert_of_a_test_goes_to_every_sink_whatever_it_wants(rule: str, heard: bool) -> None:
    info = RuleInfo(id=rule, title="Test", level=Level.informational)
    revision = alert(level=Level.informational, change="opened", cluster="doctor", rule=info)
    settings = SlackSettings(name="a", url=URL, min_level="critical", clusters=["prod"])
    assert wants(settings, revision) is heard
