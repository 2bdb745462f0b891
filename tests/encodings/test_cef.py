"""CEF lines come apart into the header and the pairs they were made of, whatever the values hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from detector.encodings import cef
from detector.encodings.plain import plain
from detector.finding import Alert, Level, Reason
from tests.encodings.making import ALERTS, MANY, alert

LENGTHS = {"cat": 1023, "msg": 1023, "suser": 1023, "request": 1023, "requestClientApplication": 1023}
"""The dictionary's lengths, in characters; custom strings have 4,000, their labels 1,023, ``externalId`` 40."""
KEYS = {
    *LENGTHS,
    *(f"cs{number}{suffix}" for number in range(1, 7) for suffix in ("", "Label")),
    *(f"flexString{number}{suffix}" for number in (1, 2) for suffix in ("", "Label")),
    *("externalId", "rt", "start", "end", "cnt", "cn1", "cn1Label", "src", "c6a2", "c6a2Label", "requestMethod"),
}


def taken_apart(line: str) -> tuple[list[str], dict[str, str]]:
    """Read a line as collectors do: unescaped pipes part the header, ``key=`` after a blank begins a value."""
    *header, extension = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    found = re.split(r"(?:^| )(\w+)=", extension)
    assert found[0] == ""
    values = [re.sub(r"\\([\\=])", r"\1", value) for value in found[2::2]]
    keys = found[1::2]
    assert len(set(keys)) == len(keys), "a key stands twice"
    return header, dict(zip(keys, values, strict=True))


def test_a_line_has_the_header_and_the_keys_of_the_dictionary() -> None:
    header, values = taken_apart(cef.encode(alert()))
    assert header[:3] == ["CEF:0", "redshank", "redshank"]
    assert header[4:] == [alert().rule.id, "Rights granted to everybody", "10"]
    assert values["externalId"] == alert().id
    assert (values["cn1Label"], values["cn1"], values["cnt"]) == ("revision", "2", "7")
    assert (values["start"], values["end"], values["rt"]) == ("1772719391123", "1772719703123", "1772719703123")
    assert values["cs4"].startswith("rbac.role.name = cluster-admin; ")
    assert {*values} <= KEYS


@MANY
@given(ALERTS)
def test_no_value_makes_a_key_a_header_field_or_a_line(one: Alert) -> None:
    line = cef.encode(one)
    assert line.isprintable()
    header, values = taken_apart(line)
    assert len(header) == 7
    assert {*values} <= KEYS
    assert values["externalId"] == one.id
    assert all(len(value) <= LENGTHS.get(key, 4000) for key, value in values.items())


def test_hostile_values_are_told_as_they_are() -> None:
    hostile = "a=b externalId=forged \\| c|d\r\nCEF:0|x"
    header, values = taken_apart(cef.encode(alert(actor=hostile, title=hostile, reasons=(Reason("s", "f", hostile),))))
    assert values["suser"] == plain(hostile)
    assert values["cs4"] == f"f = {plain(hostile)}"
    assert values["externalId"] == alert().id
    assert "\n" not in header[5]


@pytest.mark.parametrize(
    ("sources", "key"),
    [(("192.0.2.10",), "src"), (("2001:db8::7",), "c6a2"), (("not an address", "192.0.2.1"), "src"), (("x",), None)],
)
def test_addresses_go_where_their_kind_belongs(sources: tuple[str, ...], key: str | None) -> None:
    _, values = taken_apart(cef.encode(alert(sources=sources)))
    assert {"src", "c6a2"} & {*values} == ({key} if key else set())


def test_severities_rise_with_levels() -> None:
    severities = [int(taken_apart(cef.encode(alert(level=level)))[0][6]) for level in Level]
    assert severities == sorted({*severities})
    assert (severities[0], severities[-1]) == (0, 10)


def test_many_audit_ids_cost_nothing_else_its_place() -> None:
    _, values = taken_apart(cef.encode(alert(audit_ids=tuple(f"{number:036}" for number in range(256)))))
    assert values["cs6"].endswith("and 236 more")
    assert values["cs5"].startswith("1. Delete the binding.; 2. Search for requests")
