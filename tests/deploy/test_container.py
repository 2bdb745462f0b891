"""The image is made of pinned parts, and runs without root, without a shell and without writing to itself."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from packaging.specifiers import SpecifierSet

from detector.config import Settings
from tests.deploy.reading import DEPLOY, pod_spec, render

ROOT = DEPLOY.parent
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """Give the instructions of the Containerfile, lines that belong together joined."""
    joined = re.sub(r"\\\n\s*", "", CONTAINERFILE.read_text())
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def last_stage() -> dict[str, list[str]]:
    """Give the instructions of the stage that is shipped, by name."""
    every = instructions()
    start = max(number for number, (name, _) in enumerate(every) if name == "FROM")
    stage: dict[str, list[str]] = {}
    for name, rest in every[start:]:
        stage.setdefault(name, []).append(rest)
    return stage


def python() -> str:
    """Give the tag of the base image."""
    (tag,) = [rest.removeprefix("PYTHON=") for name, rest in instructions() if name == "ARG"]
    return tag


def test_every_stage_begins_with_one_pinned_version() -> None:
    assert re.fullmatch(r"3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", python())
    bases = [rest.partition(" AS ")[0] for name, rest in instructions() if name == "FROM"]
    assert bases == ["docker.io/library/python:${PYTHON}"] * 2


def test_its_python_is_one_that_redshank_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = python().partition("-")[0]
    assert version in SpecifierSet(project["requires-python"])
    assert f"Programming Language :: Python :: {version.rpartition('.')[0]}" in project["classifiers"]


def test_dependencies_are_those_of_the_lock_file_and_nothing_is_fetched_otherwise() -> None:
    installs = [rest for name, rest in instructions() if name == "RUN" and "install" in rest and "pip" in rest]
    assert len(installs) == 2
    for one in installs:
        assert "--require-hashes" in one or "--no-index" in one
    assert not [name for name, rest in instructions() if name == "ADD" or "curl" in rest or "apt" in rest.split()]
    assert (ROOT / "requirements.lock").read_text().count("--hash=sha256:") > 10


def test_it_runs_without_root_and_without_a_shell() -> None:
    stage = last_stage()
    (user,) = stage["USER"]
    uid, gid = map(int, user.split(":"))
    assert uid == gid == pod_spec(render(DEPLOY / "kubernetes" / "base"))["securityContext"]["runAsUser"] > 0
    for name in ("ENTRYPOINT", "CMD"):
        (command,) = stage[name]
        assert isinstance(json.loads(command), list)
    assert "HEALTHCHECK" not in stage


def test_it_stores_where_its_volume_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = last_stage()
    variables = dict(one.split("=", 1) for line in stage["ENV"] for one in line.split())
    (volume,) = json.loads(stage["VOLUME"][0])
    monkeypatch.setenv("REDSHANK_DATA_DIR", variables["REDSHANK_DATA_DIR"])
    assert str(Settings().data_dir) == volume
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"


def test_ports_are_those_of_the_settings() -> None:
    ports = {int(port.removesuffix("/tcp")) for port in last_stage()["EXPOSE"][0].split()}
    assert ports == {Settings().webhook.address.port, Settings().web.address.port}
