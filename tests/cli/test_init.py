"""``redshank init``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from detector.cli.init import app
from detector.errors import ConfigError

URL = "https://10.0.0.5:8889"


def init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["kube-apiserver", *map(str, arguments)])


def failed(arguments: Sequence[str | Path], says: str) -> None:
    result = init(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)


def test_a_folder_is_written_and_its_files_and_the_next_step_are_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = init("--cluster", "prod", "--url", URL, "--out", out)
    assert result.exit_code == 0, result.output
    *told, last = result.output.splitlines()
    assert sorted(map(Path, told)) == sorted(path for path in out.rglob("*") if path.is_file())
    assert "valid until 20" in last
    assert str(out / "README.md") in last


def test_a_second_run_destroys_no_key(tmp_path: Path) -> None:
    asked: list[str | Path] = ["--cluster", "prod", "--url", URL, "--out", tmp_path]
    assert init(*asked).exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    failed(asked, "--force")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_force_renews_and_adds_a_cluster_under_the_same_ca(tmp_path: Path) -> None:
    asked: list[str | Path] = ["--cluster", "prod", "--url", URL, "--out", tmp_path]
    assert init(*asked).exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert init(*asked, "--cluster", "stage", "--force").exit_code == 0
    assert (tmp_path / "ca.key").read_bytes() == before[tmp_path / "ca.key"]
    client = tmp_path / "clusters" / "prod" / "client.crt"
    assert client.read_bytes() != before[client]
    written = yaml.safe_load((tmp_path / "redshank" / "redshank.yaml").read_text())
    assert set(written["webhook"]["clusters"]) == {"prod", "stage"}


@pytest.mark.parametrize("name", ["audit-policy.yaml", "kube-apiserver-flags.yaml"])
def test_what_is_the_same_for_everybody_is_printed_without_questions(name: str, tmp_path: Path) -> None:
    result = init("--print", name, "--out", tmp_path)
    assert result.exit_code == 0
    assert yaml.safe_load(result.output)["kind"] in ("Policy", "Pod")
    assert list(tmp_path.iterdir()) == []


def test_one_file_is_printed_and_none_written(tmp_path: Path) -> None:
    result = init("--print", "webhook-kubeconfig.yaml", "--cluster", "prod", "--url", URL, "--out", tmp_path)
    assert f"{URL}/audit/prod" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", URL], "--cluster NAME"),
        (["--cluster", "prod"], "--url https://"),
        (["--cluster", "prod", "--url", "http://10.0.0.5:8889"], "https://"),
        (["--cluster", "prod", "--url", URL, "--node-ip", "a b"], "--node-ip"),
        (["--cluster", "prod", "--url", URL, "--print", "tls.key"], "--print"),
    ],
)
def test_what_is_missing_or_wrong_is_named(arguments: list[str], says: str) -> None:
    failed(arguments, says)
