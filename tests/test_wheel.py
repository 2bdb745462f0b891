"""The wheel carries the package, its type marker and the rules, and nothing that belongs to development."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("redshank-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def test_the_wheel_is_marked_as_typed(wheel_names: frozenset[str]) -> None:
    assert "detector/py.typed" in wheel_names


def test_every_module_is_in_the_wheel(wheel_names: frozenset[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "detector").rglob("*.py")}
    assert modules
    assert modules <= wheel_names


def test_every_rule_is_in_the_wheel(wheel_names: frozenset[str]) -> None:
    rules = {f"detector/_data/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "rules").rglob("*.yml")}
    assert rules
    assert rules <= wheel_names


def test_nothing_else_is_in_the_wheel(wheel_names: frozenset[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"detector"}
    assert not [name for name in wheel_names if "__pycache__" in name or name.endswith((".pyc", ".orig", ".new"))]


def test_the_licence_is_in_the_wheel(wheel_names: frozenset[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
