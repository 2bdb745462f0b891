"""Falco's output as our message."""

from __future__ import annotations

from detector.sigma.falco.message import LONGEST, message
from detector.sigma.message import pieces


def test_fields_become_placeholders_and_are_shown() -> None:
    said, shown, lost = message("Read (by=%ka.user.name of=%jevt.value[/objectRef/name]  )")
    assert said == "Read (by={user.username} of={objectRef.name})"
    assert shown == ["user.username", "objectRef.name"]
    assert lost == []


def test_what_has_no_equivalent_is_left_out_with_its_label() -> None:
    assert message("Read (user=%ka.user.name obj=%jevt.obj)") == (
        "Read (user={user.username})",
        ["user.username"],
        ["jevt.obj"],
    )
    assert message("Shell (%proc.name)")[0] == "Shell"


def test_a_list_is_named_without_its_number() -> None:
    assert message("%ka.req.pod.containers.image[0]")[0] == "{requestObject.spec.containers.image}"


def test_braces_are_texts() -> None:
    said, _, _ = message("{a} %ka.verb }")
    assert said == "{{a}} {verb} }}"


def test_a_long_message_ends_between_its_fields() -> None:
    said, shown, _ = message("Made (" + " ".join(f"f{n}=%ka.req.pod.volumes.hostpath" for n in range(20)) + ")")
    assert len(said) <= LONGEST
    assert said.endswith("f5={requestObject.spec.volumes.hostPath.path} ...)")
    assert shown == ["requestObject.spec.volumes.hostPath.path"]
    pieces(said)


def test_one_long_word_is_no_message() -> None:
    assert message("x" * 400)[0] == ""
