"""What the daemon says: lines that nobody can forge."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from detector.config import LogSettings
from detector.service.logs import set_up

HOSTILE = 'eve\n{"level":"info"}\x1b[2J\u202e'


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    logger = logging.getLogger()
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers = handlers
    logger.setLevel(level)


def said(form: Literal["json", "text", "auto"]) -> str:
    stream = io.StringIO()
    set_up(LogSettings(format=form), stream)
    log = logging.getLogger("test")
    log.info("of %s", HOSTILE, extra={"cluster": "prod"})
    log.debug("not said")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        log.exception("it failed")
    return stream.getvalue()


@pytest.mark.parametrize("form", ["json", "auto"])
def test_a_program_reads_one_object_a_line(form: Literal["json", "auto"]) -> None:
    first, second = map(json.loads, said(form).splitlines())
    assert (first["message"], first["cluster"], first["level"]) == (f"of {HOSTILE}", "prod", "info")
    assert "ValueError" in second["error"]


def test_a_person_reads_text_without_control_characters() -> None:
    text = said("text")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.splitlines()[0].endswith('of eve\\n{"level":"info"}\\x1b[2J\\u202e') or "of eve" in text.splitlines()[0]
    assert all(line.startswith(("  ", "0", "1", "2")) for line in text.splitlines())
