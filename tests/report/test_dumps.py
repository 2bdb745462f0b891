"""Reading what kubectl prints: every shape of it, and clear words for what is none."""

from __future__ import annotations

from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector.errors import ConfigError, InputError
from detector.report.dumps import entries_in, messages, only_one, told

POD = {"kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": []}}
ROLE = {"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
BARE = {key: value for key, value in POD.items() if key != "kind"}


def dumped(tmp_path: Path, *documents: Any) -> str:
    path = tmp_path / "dump.json"
    path.write_bytes(b"\n".join(orjson.dumps(one, option=orjson.OPT_INDENT_2) for one in documents))
    return str(path)


@pytest.mark.parametrize(
    "documents",
    [
        [POD, ROLE],
        [{"kind": "List", "items": [POD, ROLE]}],
        [{"kind": "List", "items": [{"kind": "PodList", "items": [BARE]}, {"kind": "List", "items": [ROLE]}]}],
        [{"kind": "PodList", "items": [BARE]}, ROLE, {"kind": "Secret", "metadata": {"name": "s"}}],
    ],
    ids=["one after the other", "list", "list of lists", "raw list"],
)
def test_every_shape_of_a_dump_is_read(tmp_path: Path, documents: list[Any]) -> None:
    entries = entries_in([dumped(tmp_path, *documents)])
    assert {name: [key for key, _ in pairs] for name, pairs in entries.items()} == {
        "pods": [("n", "p")],
        "roles": [("ClusterRole", "", "r")],
    }
    assert told("a\x1b[2J", entries) == "a\\x1b[2J: 1 pod, 1 role"


def test_several_files_and_standard_input_are_one_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(orjson.dumps(ROLE))))
    assert set(entries_in([dumped(tmp_path, POD), "-"])) == {"pods", "roles"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"NAME READY\nweb 1/1", "no JSON"),
        (b'{"kind":"Pod"', "no JSON"),
        (b'{"kind":"Pod"} trailing', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[1]", "has a kind"),
        (b'{"items":[]}', "has a kind"),
        (b'{"kind":"List","items":[7]}', "has a kind"),
        (b'{"kind":"List","items":[]}', "nothing that memory keeps"),
        (b'{"kind":"ConfigMap","metadata":{"name":"x"}}', "nothing that memory keeps"),
    ],
)
def test_what_is_no_dump_is_refused_with_what_to_do(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "dump.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{why}.*kubectl get"):
        entries_in([str(path)])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: No such file"):
        entries_in([str(tmp_path / "nowhere.json")])


def test_a_dump_of_one_of_several_clusters_must_say_which() -> None:
    assert only_one(["a"]) == "a"
    with pytest.raises(ConfigError, match="--cluster a or b"):
        only_one(["a", "b"])
    with pytest.raises(ConfigError, match="--cluster NAME"):
        only_one([])


def test_a_daemon_is_told_in_parts_whose_it_is(tmp_path: Path) -> None:
    entries = entries_in([dumped(tmp_path, POD)])
    assert list(messages(entries, "a", "kim")) == [{"who": "kim", "cluster": "a", "entries": entries}]
