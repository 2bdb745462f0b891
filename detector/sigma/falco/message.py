"""Falco's ``output`` → our ``message`` and the fields that findings show."""

from __future__ import annotations

import re

from detector.errors import RuleError
from detector.sigma.falco.fields import meaning
from detector.sigma.falco.tree import Field
from detector.sigma.message import pieces

LONGEST = 300
"""Characters of a message in a rule."""
_PLACEHOLDER = re.compile(r"\*?%(?P<name>[a-zA-Z]\w*(?:\.\w+)+)(?:\[(?P<argument>[^\[\]]*)\])?", re.ASCII)
_LABEL = re.compile(r"[\w.-]{1,60}[=:] ?$", re.ASCII)
_LABELS = 62
"""Characters before a field in which its label is looked for."""


def message(output: str) -> tuple[str, list[str], list[str]]:
    """Give the message, the paths it names, and the fields of Falco that have no equivalent, which it leaves out.

    Where it would be too long, the fields at its end are left out; findings show all of them anyway.
    """
    paths: dict[str, None] = {}
    lost: dict[str, None] = {}
    written, at = [], 0
    output = " ".join(output.split())
    for found in _PLACEHOLDER.finditer(output):
        before, at = output[at : found.start()], found.end()
        field = Field(found["name"], found["argument"])
        path = _path(field)
        if path:
            paths[path] = None
        else:
            lost[str(field)] = None
            before = before[:-_LABELS] + _LABEL.sub("", before[-_LABELS:])
        written.append(_plain(before) + (f"{{{path}}}" if path else ""))
    return _short("".join(written) + _plain(output[at:])), list(paths), list(lost)


def _path(field: Field) -> str:
    """Give the path of a field where a message can name it."""
    try:
        path = meaning(field).anywhere.replace("[]", "")
        pieces(f"{{{path}}}")
    except (RuleError, ValueError):
        return ""
    return "" if " " in path else path


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _short(text: str) -> str:
    """Keep a message within what a rule may say; no placeholder has a blank in it."""
    text = re.sub(r" +([,)])", r"\1", text).replace("()", "").strip()
    if len(text) <= LONGEST:
        return text
    kept = text[: LONGEST - len(" ...)") + 1].rpartition(" ")[0]
    return f"{kept} ...{')' * (kept.count('(') > kept.count(')'))}" if kept else ""
