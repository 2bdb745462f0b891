"""The unit runs redshank with nothing of the machine but its data directory."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detector.config import Settings
from detector.errors import ConfigError, StoreError
from tests.cli.running import redshank
from tests.deploy.reading import DEPLOY

UNIT = DEPLOY / "systemd" / "redshank.service"
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}


def unit() -> dict[str, list[str]]:
    """Give the settings of the section Service; one can be there several times."""
    _, _, section = UNIT.read_text().partition("[Service]\n")
    lines = section.partition("\n[")[0].splitlines()
    settings: dict[str, list[str]] = {}
    for name, _, value in (line.partition("=") for line in lines if line and not line.startswith("#")):
        settings.setdefault(name, []).append(value)
    return settings


def seconds(name: str) -> int:
    return int(unit()[name][0])


@pytest.mark.parametrize("name", HARDENED)
def test_the_unit_is_hardened(name: str) -> None:
    assert unit()[name] == [HARDENED[name]]


def test_only_system_calls_of_services_are_let_through() -> None:
    assert unit()["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_it_runs_as_the_user_that_is_made_for_it() -> None:
    (line,) = [one for one in (DEPLOY / "systemd" / "redshank.conf").read_text().splitlines() if one[:1] != "#"]
    assert line.split()[:2] == ["u", unit()["User"][0]]
    assert unit()["Group"] == unit()["User"]


def test_the_data_directory_is_the_one_systemd_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/redshank")
    assert Settings().data_dir == Path("/var/lib") / unit()["StateDirectory"][0]
    assert unit()["StateDirectoryMode"] == ["0700"]


def test_it_is_started_again_unless_its_settings_are_wrong() -> None:
    assert unit()["Restart"] == ["always"]
    assert unit()["RestartPreventExitStatus"] == [str(ConfigError.exit_code)]
    # A second one on the same data directory ends with this, and is to try again until the first is gone.
    assert StoreError.exit_code != ConfigError.exit_code
    assert "StartLimitIntervalSec=0" in UNIT.read_text()


def test_there_is_time_to_stop_and_to_say_that_it_lives() -> None:
    assert seconds("TimeoutStopSec") > Settings().stop_within.total_seconds()
    assert unit()["Type"] == ["notify"]
    assert seconds("WatchdogSec") >= 30


def test_the_command_is_one_that_redshank_knows() -> None:
    (command,) = unit()["ExecStart"]
    assert re.fullmatch(r"/opt/redshank/bin/redshank serve --config /etc/redshank/redshank\.yaml", command)
    assert "--config" in redshank("serve", "--help").stdout
    (folder,) = unit()["ConfigurationDirectory"]
    assert f"/etc/{folder}/" in command


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "redshank.service"
    copy.write_text(UNIT.read_text().replace("/opt/redshank/bin/redshank", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
